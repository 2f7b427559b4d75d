"""The switch itself: what it is, that it lives, its variables."""

from typing import Final

from simulator.fake_ari.channel import stamp
from simulator.fake_ari.exchange import SYSTEM, VERSION, Exchange
from simulator.fake_ari.rest import DONE, Answer, Ask, Parameter, Refused, Table, path
from simulator.fake_ari.telling import ASTERISK_ID

TABLE: Final = Table("asterisk", "The switch")
VARIABLE: Final = Parameter("variable", "Name of the variable", required=True)


@TABLE.operation(
    "GET",
    "/asterisk/info",
    "getInfo",
    "What this switch is",
    Parameter(
        "only",
        "Parts to show; without, all",
        multiple=True,
        allowed=("build", "system", "config", "status"),
    ),
    returns="AsteriskInfo",
)
async def info(exchange: Exchange, ask: Ask) -> Answer:
    """Show what it is."""
    since = stamp(exchange.began_at)
    parts = {
        "build": {
            "os": "none",
            "kernel": "none",
            "machine": "none",
            "options": "",
            "date": since,
            "user": "nobody",
        },
        "system": {"version": VERSION, "entity_id": ASTERISK_ID},
        "config": {"name": SYSTEM, "default_language": "en", "setid": {"user": "", "group": ""}},
        "status": {"startup_time": since, "last_reload_time": since},
    }
    only = ask.many("only")
    return Answer({name: part for name, part in parts.items() if not only or name in only})


@TABLE.operation("GET", "/asterisk/ping", "ping", "A sign of life", returns="AsteriskPing")
async def ping(exchange: Exchange, _: Ask) -> Answer:
    """Answer."""
    return Answer({"ping": "pong", "timestamp": stamp(exchange.world.now), "asterisk_id": ASTERISK_ID})


@TABLE.operation(
    "GET", "/asterisk/modules", "listModules", "Modules; this switch has none", returns="List[Module]"
)
async def modules(_: Exchange, __: Ask) -> Answer:
    """Show none."""
    return Answer([])


@TABLE.operation(
    "GET",
    "/asterisk/modules/{moduleName}",
    "getModule",
    "One module",
    path("moduleName", "Name of the module"),
    returns="Module",
    errors={404: "There is no such module"},
)
async def module(_: Exchange, __: Ask) -> Answer:
    """There is none."""
    raise Refused(404, "Module not found")


@TABLE.operation(
    "GET",
    "/asterisk/variable",
    "getGlobalVar",
    "The value of a global variable",
    VARIABLE,
    returns="Variable",
    errors={400: "No variable is named"},
)
async def get_variable(exchange: Exchange, ask: Ask) -> Answer:
    """Show a variable; one that was never set is empty."""
    return Answer({"value": exchange.variables.get(_named(ask), "")})


@TABLE.operation(
    "POST",
    "/asterisk/variable",
    "setGlobalVar",
    "Set a global variable",
    VARIABLE,
    Parameter("value", "The value"),
    errors={400: "No variable is named"},
)
async def set_variable(exchange: Exchange, ask: Ask) -> Answer:
    """Set one."""
    exchange.variables[_named(ask)] = ask.text("value")
    return DONE


def _named(ask: Ask) -> str:
    name = ask.text("variable")
    if not name:
        raise Refused(400, "Variable name is required")
    return name
