"""How VISA is asked."""

from saymask.models.base import Options


class VisaOptions(Options):
    pass
