"""``python -m pe_engine``."""

import sys

from pe_engine.cli import main

sys.exit(main())
