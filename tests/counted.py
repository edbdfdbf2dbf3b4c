"""A traced function that says how often it was traced, and for what."""
import graphnet


class Counted:
    """A function that notes the arguments of each trace."""

    def __init__(self, function, **options):
        self.traces = []

        def body(*args, **kwargs):
            self.traces.append((args, kwargs))
            return function(*args, **kwargs)

        self.function = graphnet.function(body, **options)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)
