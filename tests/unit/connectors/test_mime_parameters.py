"""MIME: parameters of Content-Type and Content-Disposition, as standards and mail programs write them."""

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.mime.parameters import value_and_parameters
from tests.unit.connectors.mime_messages import multipart, read


def name_of(part_headers: str) -> str:
    (attachment,) = read(multipart(f"{part_headers}\n\nx")).attachments
    return attachment.name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("filename=a.pdf", "a.pdf"),
        ('filename="a; b.pdf"', "a; b.pdf"),
        (r'filename="a \"b\" c\\d.pdf"', r'a "b" c\d.pdf'),
        ("FileName = a.pdf", "a.pdf"),
        ("filename=two words.pdf", "two words.pdf"),
        ('filename="open.pdf', '"open.pdf'),
        ("filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf", "Grüße.pdf"),
        ("filename*=iso-8859-1'de'Gr%FC%DFe.pdf", "Grüße.pdf"),
        ("filename*=utf-8''Gr%FC%DFe.pdf", "Grüße.pdf"),
        ("filename*0=one.; filename*1=two.; filename*2=pdf", "one.two.pdf"),
        ("filename*1=two.; filename*2=pdf; filename*0=one.", "one.two.pdf"),
        ("filename*0*=utf-8''Gr%C3; filename*1*=%BC%C3%9Fe; filename*2=.pdf", "Grüße.pdf"),
        ('filename*0="=?utf-8?q?Gr=C3=BC"; filename*1="=C3=9Fe?="', "Grüße"),
        ('filename="=?utf-8?b?R3LDvMOfZS5wZGY=?="', "Grüße.pdf"),
        ("filename==?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ('filename="=?utf-8?q?one=2E?=\n =?utf-8?q?pdf?="', "one.pdf"),
        ("filename=Grüße.pdf", "Grüße.pdf"),
        ('filename="one\n two.pdf"', "one two.pdf"),
        ("filename=a.pdf; filename=b.pdf", "a.pdf"),
        ("filename=Gr__e.pdf; filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf", "Grüße.pdf"),
        ("filename=a\x01.pdf", "a.pdf"),
        ("filename*=utf-8''a%00%0D%0A.pdf", "a  .pdf"),
        ("filename=", "ATT00001.dat"),
        ("filename*99999999999999999999=x", "ATT00001.dat"),
    ],
)
def test_a_file_is_called_as_its_sender_meant(written: str, name: str) -> None:
    assert name_of(f"Content-Type: application/pdf\nContent-Disposition: attachment; {written}") == name


def test_latin_1_in_a_name_is_read_too() -> None:
    message = multipart('Content-Type: application/pdf; name="Grüße.pdf"\n\nx').replace(
        "Grüße".encode(), "Grüße".encode("cp1252")
    )
    assert read(message).attachments[0].name == "Grüße.pdf"


def test_the_name_of_the_type_counts_where_no_other_is() -> None:
    assert name_of("Content-Type: application/pdf; name=a.pdf") == "a.pdf"
    assert name_of("Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment; filename=b.pdf") == "b.pdf"


@pytest.mark.parametrize(
    ("written", "content_type"),
    [
        ("Application/PDF", "application/pdf"),
        ("application/pdf ; x=y", "application/pdf"),
        ("application/x-a+b", "application/x-a+b"),
    ],
)
def test_types_are_lower_case(written: str, content_type: str) -> None:
    (attachment,) = read(multipart(f"Content-Type: {written}\n\nx")).attachments
    assert attachment.content_type == content_type


@pytest.mark.parametrize("written", ["", "text", "a/b/c", "text/plain charset=utf-8/x", "größe/x"])
def test_what_is_no_type_is_text(written: str) -> None:
    assert read(multipart(f"Content-Type: {written}\n\nHello")).body_text == "Hello"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs", "Cn"]), min_size=1, max_size=40))
def test_any_name_comes_back_from_what_the_standard_library_writes(name: str) -> None:
    written = Message()
    written.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
    _, parameters = value_and_parameters(str(written["Content-Disposition"]))
    assert parameters["filename"] == name


@given(st.text())
def test_no_value_is_too_strange(value: str) -> None:
    kind, parameters = value_and_parameters(value.encode("utf-8", "surrogatepass").decode("ascii", "surrogateescape"))
    assert isinstance(kind, str)
    assert all(isinstance(each, str) for each in parameters.values())
