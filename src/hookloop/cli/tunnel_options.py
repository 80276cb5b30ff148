"""The options of `hookloop http`: what its tunnel lets through, and what it changes on the way."""

from typing import Annotated

import typer

__all__ = [
    "AllowCidr",
    "BasicAuth",
    "DenyCidr",
    "HostHeader",
    "NameOption",
    "Origin",
    "RequestHeaderAdd",
    "RequestHeaderRemove",
    "ResponseHeaderAdd",
    "ResponseHeaderRemove",
    "ResponseSeconds",
    "Secret",
    "UpstreamArgument",
    "UpstreamCa",
    "UpstreamInsecure",
    "VerifyWebhook",
]

UpstreamArgument = Annotated[
    str,
    typer.Argument(
        help="The local service: its port, host:port, https://host:port or unix:/path.sock; or a "
        "folder to serve.",
        metavar="PORT|ADDRESS|FOLDER",
    ),
]
NameOption = Annotated[str | None, typer.Option(help="The tunnel's name: NAME.tun.example.com.")]
HostHeader = Annotated[
    str,
    typer.Option(
        metavar="rewrite|preserve|HOST",
        help="The Host the service is shown: its own address, what the caller sent, or this one.",
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(
        metavar="rewrite|preserve",
        help="Whether an Origin that is the tunnel's own becomes the service's; without it, as "
        "the Host does.",
    ),
]
BasicAuth = Annotated[
    list[str] | None,
    typer.Option(metavar="USER:PASSWORD", help="Ask callers for a password; several may be given."),
]
AllowCidr = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NETWORK", help="Let in only these addresses, as 203.0.113.0/24; may be repeated."
    ),
]
DenyCidr = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NETWORK", help="Keep these out, though --allow-cidr has them; may be repeated."
    ),
]
RequestHeaderAdd = Annotated[
    list[str] | None,
    typer.Option(metavar="'NAME: VALUE'", help="Add to each request; may be repeated."),
]
RequestHeaderRemove = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Take off each request, before any is added."),
]
ResponseHeaderAdd = Annotated[
    list[str] | None,
    typer.Option(metavar="'NAME: VALUE'", help="Add to each answer; may be repeated."),
]
ResponseHeaderRemove = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Take off each answer, before any is added."),
]
VerifyWebhook = Annotated[
    str | None,
    typer.Option(
        metavar="PROVIDER",
        help="Stop requests without a right signature of: github, shopify, slack, standard, "
        "stripe, svix.",
    ),
]
Secret = Annotated[
    list[str] | None,
    typer.Option(
        envvar="HOOKLOOP_WEBHOOK_SECRET",
        help="A signing secret --verify-webhook checks with; several while one is rolled.",
    ),
]
UpstreamInsecure = Annotated[
    bool,
    typer.Option(
        "--upstream-insecure", help="Take any certificate of an https service, as a self-signed."
    ),
]
UpstreamCa = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Certificates, in PEM, to trust for an https service."),
]
ResponseSeconds = Annotated[
    float, typer.Option(help="How long the service may take to begin its answer.")
]
