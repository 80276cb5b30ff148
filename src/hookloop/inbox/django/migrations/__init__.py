"""Steps of the tables, in Django's own order."""
