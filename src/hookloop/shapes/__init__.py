"""
The shapes of Stripe's API, read from the installed `stripe` package.

Only shapes: what an object's fields are, what an endpoint takes and answers. What
happens when it is called is the sandbox's. Nothing is imported until something is asked for.
"""
