"""What EWS says when it refuses: an error of one item or folder inside a reply, or a SOAP fault instead of one."""


class ResponseError(Exception):
    """ResponseClass="Error" in one response message; the others of the request are answered all the same."""

    def __init__(self, code: str, text: str = "") -> None:
        self.code = code
        self.text = text or TEXTS.get(code, f"{code}.")
        super().__init__(f"{code}: {self.text}")


class SoapFault(Exception):
    """The whole request is refused with a fault and HTTP 500. `values` go into MessageXml."""

    def __init__(self, code: str, text: str = "", values: tuple[tuple[str, str], ...] = ()) -> None:
        self.code = code
        self.text = text or TEXTS.get(code, f"{code}.")
        self.values = values
        super().__init__(f"{code}: {self.text}")


TEXTS = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorAccountDisabled": "The account is disabled.",
    "ErrorContentConversionFailed": "The content conversion failed.",
    "ErrorCorruptData": "The data is corrupt.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ErrorInvalidAttachmentId": "The attachment id is invalid.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidOperation": "The operation is not valid.",
    "ErrorInvalidRequest": "The request is invalid.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorMimeContentConversionFailed": "The MIME content conversion failed.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorSchemaValidation": "The request failed schema validation.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorSyncFolderNotFound": "The folder to be synchronized was not found in the mailbox store.",
}
