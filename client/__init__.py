"""A client of the service, with nothing but `urllib3`: copy this folder into your own program.

from client import Client

with Client("http://127.0.0.1:8000") as service:
    answer = service.predict("photo.jpg", (220, 120))
    print(answer["themes"][0].label)
"""

from client.answers import Answer, Item, Label
from client.client import Client
from client.errors import RefusedError, ServiceError, UnavailableError

__all__ = [
    "Answer",
    "Client",
    "Item",
    "Label",
    "RefusedError",
    "ServiceError",
    "UnavailableError",
]
