"""``python -m pe_engine``."""

from pe_engine.cli import main
from pe_engine.ending import end_process

end_process(main())
