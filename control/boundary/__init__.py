"""The boundary: every request passes here once, on its way in and on its way out.

Who is it (credential to principal), may they (the method's access option), is the request well formed
(`hum.validation`), was it answered before (idempotency key), then the servicer with the tenant's open transaction, then
the commit, the status of an error, one log line and one measurement.  A stream is let in like that, and admitted again when rights are
taken away (`openstreams`).
"""

from control.boundary.admission import Limits
from control.boundary.boundary import Boundary
from control.boundary.call import Call
from control.boundary.openstreams import REVOKED

__all__ = ["REVOKED", "Boundary", "Call", "Limits"]
