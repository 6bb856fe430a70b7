"""What a holder is asked, over HTTP and TLS between pods of one job. Bodies of vectors are their bytes.

| | | |
|---|---|---|
| `GET /v1/log?known=12&group=...` | entries behind the first 12, once there are some | `LogAnswer` |
| `POST /v1/model` | version 0, by the first group | `Founding` in a header, then the vector |
| `GET /v1/model` | the newest version, whole | the vector; which one is in a header: `WholeVersion` |
| `GET /v1/model?all` | the same for a holder | the vectors of its outer optimiser come behind it |
| `POST /v1/groups` | to take part, to have data, or to end | `Joining` |
| `GET /v1/updates` | how much of one is here | `Contribution` in a header |
| `PUT /v1/updates` | an update, from some byte on | `Contribution` in a header, then bytes |
| `POST /v1/council` | what a holder says to another | `Said`; answered by a list of messages |
| `GET /v1/vectors/<digest>` | what a version adds | the vector; any range of its bytes |
"""

from msgspec import Struct

from edgetrain.rounds.council_messages import Message
from edgetrain.rounds.leasing import Want
from edgetrain.rounds.reading import Page
from edgetrain_protocol.history import History

LOG, MODEL, GROUPS, UPDATES, VECTORS = "/v1/log", "/v1/model", "/v1/groups", "/v1/updates", "/v1/vectors/"
COUNCIL = "/v1/council"
ALL = "all"
DOCUMENT = "Edgetrain-Document"
"""A header: what comes in the body, as JSON."""
COME = "Edgetrain-Come"
"""A header of answers: how many bytes of an update are here."""
BEGIN = "Edgetrain-Begin"
"""A header: the first byte of an update that comes in the body. The others are here, as its sender knows."""
NO_MODEL = "no group has founded the model yet"
POLL_SECONDS = 5.0
"""For which a poll of the log waits. An envoy that has gone dark in one counts as heard until it ends."""


class Joining(Struct, frozen=True):
    history: History
    want: Want | None = None
    """None: it has trained on all data of its own, and all its work is in versions."""


class LogAnswer(Struct, frozen=True):
    page: Page
    term: int
    """Who has pushed in another term pushes again."""


class Said(Struct, frozen=True):
    """Of one holder to another."""

    holder: str
    message: Message | None = None
    """None: it is there."""
