"""What a user writes, declared once: it validates, makes the API's schema, and feeds forms and docs."""
