"""Stands for the models of a real app."""

customers: dict[str, str] = {}
