"""`saymask serve`: sessions over HTTP, and one page that uses them."""
