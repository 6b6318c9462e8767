"""From tables to figures, reports and the sentences of the documents."""
