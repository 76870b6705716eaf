"""The part of Helm's command line that hack/helm.sh offers; everything is done by Helm's own library."""

import argparse
import pathlib
import sys

import helm_python


def merged(into, more):
    """`more` laid over `into`, mapping by mapping, as Helm merges values."""
    for key, value in more.items():
        into[key] = merged(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
    return into


def given_values(options):
    """The files in their order, then what --set says."""
    values = {}
    for file in options.values:
        merged(values, helm_python.values_from_yaml(pathlib.Path(file).read_text()))
    for expression in options.set:
        merged(values, helm_python.parse_set_string(expression))
    return values


def parser():
    whole = argparse.ArgumentParser(prog="helm.sh", description=__doc__)
    whole.add_argument("--kubeconfig")
    commands = whole.add_subparsers(dest="command", required=True)

    def command(name, *arguments, with_values=False):
        one = commands.add_parser(name)
        for argument in arguments:
            one.add_argument(argument)
        one.add_argument("--namespace", "-n", default="default")
        one.add_argument("--kubeconfig", default=argparse.SUPPRESS)
        if with_values:
            one.add_argument("--values", "-f", action="append", default=[])
            one.add_argument("--set", action="append", default=[])
            one.add_argument("--version")
            one.add_argument("--repo")
            one.add_argument("--create-namespace", action="store_true")
            one.add_argument("--install", action="store_true")
        return one

    for name in ("install", "upgrade", "template"):
        command(name, "name", "chart", with_values=True)
    command("uninstall", "name")
    command("rollback", "name").add_argument("revision", type=int, nargs="?")
    command("list")
    lint = commands.add_parser("lint")
    lint.add_argument("chart")
    return whole


def apply(helm, options):
    source = {"chart_version": options.version, "chart_repo_url": options.repo}
    names = [release["name"] for release in helm.list()]
    if options.command == "install" or (options.install and options.name not in names):
        release = helm.install(options.chart, options.name, given_values(options), create_namespace=options.create_namespace, **source)
    else:
        release = helm.upgrade(options.chart, options.name, given_values(options), **source)
    print(f"NAME: {options.name}\nNAMESPACE: {options.namespace}\nREVISION: {release['revision']}\nSTATUS: {release['status']}")
    if notes := release.get("notes"):
        print(f"NOTES:\n{notes}")


def run(options):
    if options.command == "lint":
        report = helm_python.lint(options.chart, strict=True)
        for message in report["messages"]:
            print(f"{message['path']}: {message['error']}")
        return 1 if report["errors"] else 0
    if options.command == "template":
        with helm_python.Chart.load(options.chart) as chart:
            rendered = chart.render(given_values(options), name=options.name, namespace=options.namespace)
        print("\n---\n".join(text.strip("\n") for path, text in sorted(rendered.items()) if path.endswith(".yaml") and text.strip()))
        return 0
    with helm_python.Config(kubeconfig_path=options.kubeconfig, namespace=options.namespace) as helm:
        if options.command in ("install", "upgrade"):
            apply(helm, options)
        elif options.command == "uninstall":
            helm.uninstall(options.name)
            print(f'release "{options.name}" uninstalled')
        elif options.command == "rollback":
            helm.rollback(options.name, version=options.revision)
            print(f"release \"{options.name}\" rolled back")
        else:
            for release in helm.list():
                print(f"{release['name']}\t{release['revision']}\t{release['status']}\t{release.get('chart', '')}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(run(parser().parse_args()))
    except helm_python.HelmError as error:
        sys.exit(f"helm.sh: {error}")
