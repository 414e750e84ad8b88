"""A server with small limits, as a process whose memory can be measured: `python attacked_server.py DATA ROOT`."""

import sys
from pathlib import Path

from attacks import MAX_UPLOAD
from served import toy_engine

from saymask.web import connections
from saymask.web.app import create_app
from saymask.web.settings import Settings

LIMITS = {"max_upload_bytes": MAX_UPLOAD, "max_upload_seconds": 1.0, "max_body_bytes": 50_000, "max_body_seconds": 1.0}

if __name__ == "__main__":
    connections.HEADER_SECONDS = 1.0
    with connections.listen("127.0.0.1", 0) as listening:
        app = create_app(Settings(Path(sys.argv[1]), root=Path(sys.argv[2]), **LIMITS), toy_engine())
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
        connections.server_of(app).run([listening])
