"""The kinds of attack, each a module.

Each has `case(random, number)`, which makes a `Case`, and `ask(case, place)`, which returns what came of it
and raises whatever is a failure; whether that needs a process of its own (`IN_CHILD`) and a model server
(`NEEDS_SERVER`); how many cases the whole attack has (`COUNT`), a deadline for each (`SECONDS`), and in a
process of its own how many bytes it may take (`MOST_MEMORY`). What is attacked elsewhere has `memory(place)`.
"""

from tests.attack import bombs, clients, datasets, kills, pictures, requests, responses, runs, weights

KINDS = {
    "pictures": pictures,
    "bombs": bombs,
    "requests": requests,
    "clients": clients,
    "responses": responses,
    "weights": weights,
    "datasets": datasets,
    "runs": runs,
    "kills": kills,
}
