"""Arrow types: which columns can hold text, bytes or links, and the types that changed columns are written in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from protect.data.links import is_link, is_place

TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def holds_text(kind: Any) -> bool:
    """Whether text or bytes can stand anywhere in values of this type."""
    if isinstance(kind, pa.BaseExtensionType):
        return holds_text(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return holds_text(kind.value_type)
    if pa.types.is_nested(kind):
        return any(holds_text(kind.field(i).type) for i in range(kind.num_fields))
    return any(test(kind) for test in (*TEXT, *BYTES))


def matters(field: Any) -> bool:
    """Whether a column may hold a caption, a copy of the picture or a link, by its type and name."""
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    named = is_link(field.name) or is_place(field.name) or field.name.lower() == "id"
    return named or pa.types.is_nested(kind) or holds_text(kind)


def plain(column: Any) -> Any:
    """A column of an extension type as what it is stored as; any other as it is."""
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    return column


def writable_schema(schema: Any, may_empty: bool) -> Any:
    """The schema with room for what changes: wide dictionary indices, and nulls where values may be emptied."""
    fields = [_writable(field, may_empty) if field.name != "key" else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def described(schema: Any, change: Callable[[bytes], bytes]) -> Any:
    """The schema with each text that describes the file, or a column, as `change` has it."""

    def changed(about: Mapping[bytes, bytes] | None) -> dict[bytes, bytes] | None:
        return {name: change(text) for name, text in about.items()} if about else None

    fields = [field.with_metadata(changed(field.metadata)) for field in schema]
    return pa.schema(fields, metadata=changed(schema.metadata))


def column_of(values: Sequence[Any], kind: Any) -> Any:
    """Python values as a column of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if pa.types.is_dictionary(kind):
        coded = pa.array(values, kind.value_type).dictionary_encode()
        return pa.DictionaryArray.from_arrays(coded.indices, coded.dictionary, ordered=kind.ordered)
    return pa.array(values, kind)


def fitted(column: Any, kind: Any) -> Any:
    """An unchanged column in the type it is written in."""
    if column.type.equals(kind):
        return column
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column_of(plain(column).to_pylist(), kind)


def _writable(field: Any, may_empty: bool) -> Any:
    if not matters(field):
        return field
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
    elif not isinstance(kind, pa.BaseExtensionType):
        kind = _writable_type(kind, may_empty)
    return field.with_type(kind).with_nullable(field.nullable or may_empty)


def _writable_type(kind: Any, may_empty: bool) -> Any:
    """Nested dictionaries become plain values: Arrow cannot build them."""

    def inner(field: Any) -> Any:
        return field.with_type(_writable_type(field.type, may_empty)).with_nullable(field.nullable or may_empty)

    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([inner(kind.field(i)) for i in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_writable_type(kind.key_type, may_empty), inner(kind.item_field), kind.keys_sorted)
    if pa.types.is_large_list(kind):
        return pa.large_list(inner(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(inner(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(inner(kind.value_field))
    return kind
