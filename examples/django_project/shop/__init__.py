"""An app that wants to hear of Stripe's events."""
