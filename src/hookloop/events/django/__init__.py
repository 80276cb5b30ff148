"""
The Django face, and the app that goes with it.

    INSTALLED_APPS = [..., "hookloop.events.django"]

The app imports the module ``stripe_events`` of every installed app, so that the handlers
in it are registered; it checks that there are some; `signals` tells of what arrives.
"""
