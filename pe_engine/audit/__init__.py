"""Audits of the whole engine from outside: what anybody can run on an installed copy."""
