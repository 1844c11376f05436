"""How the bundled miniature was made and judged: ``python -m pe_engine.training.train_glyphs``."""
