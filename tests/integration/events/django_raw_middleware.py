"""A Django middleware that looks at each request as the test tells it to."""


def look(request) -> None:
    """Replaced by the test."""


def middleware(get_response):
    def handle(request):
        look(request)
        return get_response(request)

    return handle
