"""
Catch mode: webhooks that come while the app is down are kept, and delivered when it is back.

Read `rules.py` for what is caught, `box.py` for how it is kept and delivered.
"""
