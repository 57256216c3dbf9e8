"""A local gateway for serverless Python functions: what AWS API Gateway and Lambda do, on one machine."""

import sys

if sys.platform == "win32":
    raise SystemExit(
        "error: the emulator does not run on Windows itself: run it in WSL, https://learn.microsoft.com/windows/wsl"
    )
