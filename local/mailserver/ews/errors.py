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
    "ErrorChangeKeyRequiredForWriteOperations": "Change key is required for this operation.",
    "ErrorContentConversionFailed": "The content conversion failed.",
    "ErrorCorruptData": "The data is corrupt.",
    "ErrorCrossMailboxMoveCopy": "Moving or copying between mailboxes is not served.",
    "ErrorDeleteDistinguishedFolder": "Distinguished folders cannot be deleted.",
    "ErrorFolderExists": "A folder with the specified name already exists.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the requested user.",
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ErrorInvalidAttachmentId": "The attachment id is invalid.",
    "ErrorInvalidChangeKey": "The change key is invalid.",
    "ErrorInvalidExtendedProperty": "The extended property is not valid.",
    "ErrorInvalidExtendedPropertyValue": "The value of the extended property is not valid.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorInvalidItemForOperationSendItem": "The item cannot be sent.",
    "ErrorInvalidOperation": "The operation is not valid.",
    "ErrorInvalidPropertyDelete": "Delete action is invalid for property.",
    "ErrorInvalidPropertySet": "Set action is invalid for property.",
    "ErrorInvalidRecipients": "At least one recipient isn't valid.",
    "ErrorInvalidRequest": "The request is invalid.",
    "ErrorInvalidSendItemSaveSettings": "A folder for the copy is named, and no copy is to be saved.",
    "ErrorInvalidSyncStateData": "Synchronization state data is corrupt or otherwise invalid.",
    "ErrorIrresolvableConflict": "The send or update operation could not be performed because the change key passed in the"
    " request does not match the current change key for the item.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorMessageDispositionRequired": "The MessageDisposition attribute is required for messages.",
    "ErrorMessageSizeExceeded": "The message exceeds the maximum supported size.",
    "ErrorMimeContentConversionFailed": "The MIME content conversion failed.",
    "ErrorMissingRecipients": "A message can't be sent because it contains no recipients.",
    "ErrorMoveDistinguishedFolder": "Distinguished folders cannot be moved.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorParentFolderNotFound": "The parent folder was not found in the store.",
    "ErrorSchemaValidation": "The request failed schema validation.",
    "ErrorSendAsDenied": "The user account which was used to submit this request does not have the right to send mail on behalf"
    " of the specified sending account.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorStaleObject": "The change key of the item is not the current one.",
    "ErrorSyncFolderNotFound": "The folder to be synchronized was not found in the mailbox store.",
    "ErrorToFolderNotFound": "The target folder was not found in the store.",
    "ErrorUpdatePropertyMismatch": "The property of the item is not the one that the path names.",
}
