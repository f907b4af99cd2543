"""``bootstrap completion SHELL``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bootstrap.cli.lazy import COMPLETE_VARIABLE
from bootstrap.errors import UsageError

_USE = {
    "bash": 'eval "$(bootstrap completion bash)"    # in ~/.bashrc; needs bash 4.4',
    "zsh": 'eval "$(bootstrap completion zsh)"    # in ~/.zshrc, after compinit',
    "fish": "bootstrap completion fish | source    # in ~/.config/fish/config.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_USE)))
def completion(shell: str) -> None:
    """Print a shell completion script.

    \b
    bash: eval "$(bootstrap completion bash)"
    zsh:  eval "$(bootstrap completion zsh)"
    fish: bootstrap completion fish | source
    """
    from bootstrap.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    script = kind(cli, {}, "bootstrap", COMPLETE_VARIABLE)
    # Not script.source(): for bash it starts one to ask for its version, which a build may lack.
    click.echo(f"# {_USE[shell]}")
    click.echo(script.source_template % script.source_vars())
