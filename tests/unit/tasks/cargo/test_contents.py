"""What of cargo's graph is really in one binary, and as what."""

from __future__ import annotations

from pathlib import Path

from doit_provenance.provenance.sbom.inventory import Role
from doit_provenance.tasks.cargo.observe import Contents, Loaded, Node, read_contents
from doit_provenance.tasks.cargo.units import Unit, UnitGraph, UnitKey


def _unit(name: str, *uses: int, kind: str = "lib", mode: str = "build", features: tuple[str, ...] = ()) -> Unit:
    return Unit(
        key=UnitKey(package=name, kind=kind, target=f"{name}-{kind}", features=features, profile=("3",)),
        mode=mode,
        platform=None,
        edition="2021",
        source=Path("main.rs"),
        panic="unwind",
        debug_assertions=False,
        overflow_checks=False,
        uses=tuple((f"crate_{index}", index) for index in uses),
        identity=f"{name} {kind}",
    )


def _contents(*units: Unit, loaded: tuple[int, ...] | None = None, shared: tuple[int, ...] = ()) -> Contents:
    """Read the contents of unit 0; `loaded` and `shared` are the units whose files rustc took."""
    found = None
    if loaded is not None:
        keys = frozenset(units[i].key for i in loaded)
        found = Loaded(units=keys, standard=(), shared=frozenset(units[i].key for i in shared))
    return read_contents(UnitGraph(units=units, roots=(0,)), 0, found)


def _roles(contents: Contents) -> set[tuple[str, Role]]:
    return {(node.package, node.role) for node in contents.edges}


def _edges(contents: Contents) -> set[tuple[str, str]]:
    return {(node.package, used.package) for node, targets in contents.edges.items() for used in targets}


TEA = ("tea", Role.SUBJECT)


def test_declared_and_not_loaded_is_not_in_it() -> None:
    """The manifest names `unused`, and nothing of it is called: rustc does not even open its file."""
    units = (_unit("tea", 1, 2, kind="bin"), _unit("leaf"), _unit("unused", 3), _unit("unused-leaf"))
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {TEA, ("leaf", Role.LINKED)}
    assert _edges(found) == {("tea", "leaf")}


def test_all_that_is_declared_where_nothing_was_observed() -> None:
    found = _contents(_unit("tea", 1, 2, kind="bin"), _unit("leaf"), _unit("unused"))
    assert _roles(found) == {TEA, ("leaf", Role.LINKED), ("unused", Role.LINKED)}


def test_loaded_only_through_a_dropped_one_is_not_followed() -> None:
    """What a unit uses is followed from units that are in the binary alone."""
    units = (_unit("tea", 1, 2, kind="bin"), _unit("leaf", 3), _unit("unused", 3), _unit("deep"))
    found = _contents(*units, loaded=(1, 3))
    assert _edges(found) == {("tea", "leaf"), ("leaf", "deep")}


def test_proc_macros_and_what_they_use_are_build_tools() -> None:
    units = (_unit("tea", 1, kind="bin"), _unit("derive", 2, kind="proc-macro"), _unit("quote", 3), _unit("ident"))
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {TEA, ("derive", Role.BUILD), ("quote", Role.BUILD), ("ident", Role.BUILD)}
    assert _edges(found) == {("tea", "derive"), ("derive", "quote"), ("quote", "ident")}


def test_build_scripts_are_a_part_of_their_package_and_their_dependencies_build_tools() -> None:
    units = (
        _unit("tea", 1, kind="bin"),
        _unit("leaf", 2),
        _unit("leaf", 3, kind="custom-build", mode="run-custom-build"),
        _unit("leaf", 4, kind="custom-build"),
        _unit("cc", 5),
        _unit("jobs"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {TEA, ("leaf", Role.LINKED), ("cc", Role.BUILD), ("jobs", Role.BUILD)}
    assert _edges(found) == {("tea", "leaf"), ("leaf", "cc"), ("cc", "jobs")}


def test_the_binarys_own_build_script() -> None:
    units = (
        _unit("tea", 1, kind="bin"),
        _unit("tea", 2, kind="custom-build", mode="run-custom-build"),
        _unit("tea", 3, kind="custom-build"),
        _unit("cc"),
    )
    found = _contents(*units, loaded=())
    assert _roles(found) == {TEA, ("cc", Role.BUILD)}
    assert _edges(found) == {("tea", "cc")}


def test_script_that_waits_for_anothers_script_does_not_use_that_package_by_it() -> None:
    """`links = "z"`: a script waits for another's, whose package has its own edge if it is linked."""
    units = (
        _unit("tea", 1, kind="bin"),
        _unit("tea", 2, kind="custom-build", mode="run-custom-build"),
        _unit("z-sys", kind="custom-build", mode="run-custom-build"),
    )
    assert _roles(_contents(*units, loaded=())) == {TEA}


def test_build_script_of_a_proc_macro_is_the_macros() -> None:
    units = (
        _unit("tea", 1, kind="bin"),
        _unit("derive", 2, kind="proc-macro"),
        _unit("derive", 3, kind="custom-build", mode="run-custom-build"),
        _unit("derive", 4, kind="custom-build"),
        _unit("version"),
    )
    found = _contents(*units, loaded=(1,))
    assert _roles(found) == {TEA, ("derive", Role.BUILD), ("version", Role.BUILD)}


def test_package_that_is_linked_and_a_build_tool_is_both() -> None:
    """Each with its own features and edges: the unit for the host is another than the one for the target."""
    units = (
        _unit("tea", 1, 2, kind="bin"),
        _unit("leaf", 4, features=("std",)),
        _unit("derive", 3, kind="proc-macro"),
        _unit("leaf", 5, features=("host", "alloc")),
        _unit("root"),
        _unit("host-root"),
    )
    found = _contents(*units, loaded=(1, 2, 4))
    linked, build = Node(package="leaf", role=Role.LINKED), Node(package="leaf", role=Role.BUILD)
    assert found.features[linked] == ("std",)
    assert found.features[build] == ("alloc", "host")
    assert found.edges[linked] == {Node(package="root", role=Role.LINKED)}
    assert found.edges[build] == {Node(package="host-root", role=Role.BUILD)}


def test_one_unit_reached_in_two_roles_is_followed_in_both() -> None:
    """Without `--target`, host and target share a unit."""
    units = (_unit("tea", 1, 2, kind="bin"), _unit("leaf", 3), _unit("derive", 1, kind="proc-macro"), _unit("root"))
    found = _contents(*units, loaded=(1, 2, 3))
    assert {role for package, role in _roles(found) if package == "root"} == {Role.LINKED, Role.BUILD}


def test_features_of_two_units_of_one_package_are_united() -> None:
    units = (_unit("tea", 1, 2, kind="bin"), _unit("leaf", features=("b",)), _unit("leaf", features=("a",)))
    found = _contents(*units, loaded=(1, 2))
    assert found.features == {Node(package="leaf", role=Role.LINKED): ("a", "b")}


def test_the_packages_own_library_is_linked() -> None:
    found = _contents(_unit("tea", 1, kind="bin"), _unit("tea"), loaded=(1,))
    assert _roles(found) == {TEA, ("tea", Role.LINKED)}
    assert found.edges[found.subject] == {Node(package="tea", role=Role.LINKED)}


def test_shared_library_of_rust_is_not_inside() -> None:
    found = _contents(_unit("tea", 1, kind="bin"), _unit("pot", kind="dylib"), loaded=(1,), shared=(1,))
    assert _roles(found) == {TEA, ("pot", Role.DYNAMIC)}


def test_circle_ends() -> None:
    """A package's tests may depend on what depends on it; such a graph has circles between packages."""
    found = _contents(_unit("tea", 1, kind="bin"), _unit("a", 2), _unit("b", 1), loaded=(1, 2))
    assert _edges(found) == {("tea", "a"), ("a", "b"), ("b", "a")}


def test_graph_may_be_deeper_than_the_stack() -> None:
    depth = 5000
    units = (_unit("tea", 1, kind="bin"), *(_unit(f"p{i}", i + 1) for i in range(1, depth)), _unit(f"p{depth}"))
    assert len(_contents(*units).edges) == depth + 1
