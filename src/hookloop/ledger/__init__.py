"""
The one durable primitive: messages, the deliveries they are owed to, and each attempt.

Read `delivery.py` for the law, `store.py` for what a store promises, `worker.py` for who
makes the attempts.
"""
