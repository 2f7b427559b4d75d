"""The list of all commands in sections, so that a person finds the one they need."""

from typing import Any, Final

from typer.core import TyperGroup

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "Flows": ("check", "schema", "simulate", "replay", "centre", "say"),
    "Accounts": ("apply", "export", "device", "audio", "numbers"),
    "What is kept": ("recordings", "voicemail", "storage", "notifications"),
    "Money": ("credits", "plan", "rates", "invoice", "reconcile"),
    "Running": ("serve", "dial", "doctor", "db"),
    "Live": ("top", "agent", "pause", "resume", "hang-up"),
}
OTHERS: Final = "More"


class Sections(TyperGroup):
    """Help with the commands by section; a command that has none stands at the end."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        left = dict.fromkeys(self.list_commands(ctx))
        for title, names in (*SECTIONS.items(), (OTHERS, None)):
            here = [name for name in (left if names is None else names) if name in left]
            for name in here:
                del left[name]
            commands = [(name, self.get_command(ctx, name)) for name in here]
            room = formatter.width - 18
            rows = [(name, each.get_short_help_str(room)) for name, each in commands if each is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
