"""Receive, verify, route: the handler library."""


class Hooks: ...


class Event: ...
