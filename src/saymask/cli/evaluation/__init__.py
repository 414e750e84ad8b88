"""Commands that evaluate models and work with what evaluations found."""
