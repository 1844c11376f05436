"""What a run costs (accounting), how it is made private (mechanism), what was spent (ledger)."""
