"""Codes for images without a score (`Reason`), and caveats on images with one (`Flag`)."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason for which a file was not scored. Scripts of users depend on these codes: add, never rename."""

    CORRUPT = "corrupt"
    TRUNCATED = "truncated"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported_transfer_syntax"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    PACKED_FILE = "packed_file"
    WRONG_MODALITY = "wrong_modality"
    WRONG_BODY_PART = "wrong_body_part"
    LATERAL_VIEW = "lateral_view"
    VIEW_CONFLICT = "view_conflict"
    FOR_PROCESSING = "for_processing"
    MULTI_FRAME = "multi_frame"
    PAEDIATRIC = "paediatric"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    NOT_A_CHEST_RADIOGRAPH = "not_a_chest_radiograph"
    DUPLICATE = "duplicate"
    STILL_CHANGING = "still_changing"
    UNREADABLE = "unreadable"
    OTHER_BUNDLE = "other_bundle"
    TIMEOUT = "timeout"


class Flag(StrEnum):
    """A caveat on an image that was scored, or on its patient."""

    AGE_UNKNOWN = "age_unknown"
    VIEW_UNKNOWN = "view_unknown"
    BODY_PART_UNKNOWN = "body_part_unknown"
    NO_PATIENT_ID = "no_patient_id"
    PLACEHOLDER_PATIENT_ID = "placeholder_patient_id"
    PHOTOMETRIC_CONFLICT = "photometric_conflict"
    VOI_IGNORED = "voi_ignored"
    REORIENTED = "reoriented"
    ORIENTATION_IGNORED = "orientation_ignored"
    BITS_CONFLICT = "bits_conflict"
    PIXEL_SIGN_CONFLICT = "pixel_sign_conflict"
    SHUTTER_APPLIED = "shutter_applied"
    SHUTTER_IGNORED = "shutter_ignored"
    LOSSY = "lossy"
    IDENTITY_CONFLICT = "identity_conflict"
    UID_CONFLICT = "uid_conflict"
    SOME_IMAGES_NOT_SCORED = "some_images_not_scored"
    PATIENT_CHANGED = "patient_changed"
    MAX_WAIT = "max_wait"
    RESULT_OVERDUE = "result_overdue"


class Refusal(Exception):
    """Refusal of one file while it is read; `cxrbatch.prepare` turns it into a `Failure`.

    Parameters
    ----------
    reason : Reason
    detail : str
        What was found and what was expected. Never a patient's name or birth date, never a raw header value that
        could hold one.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


REASON_MEANING: dict[Reason, str] = {
    Reason.CORRUPT: "the file is damaged, or contradicts itself",
    Reason.TRUNCATED: "the file ends before its image does",
    Reason.UNSUPPORTED_TRANSFER_SYNTAX: "a compression that is not read here",
    Reason.NOT_AN_IMAGE: "no radiograph: neither DICOM with pixels nor an image of a format that is read",
    Reason.UNSUPPORTED_FORMAT: "an image or video of a format that is not read; export it as DICOM, PNG or JPEG",
    Reason.PACKED_FILE: "an archive or packed file; unpack it into the folder, there may be radiographs in it",
    Reason.WRONG_MODALITY: "not a projection radiograph (CR, DX, RG)",
    Reason.WRONG_BODY_PART: "another body part than the chest",
    Reason.LATERAL_VIEW: "a lateral or oblique view; only frontal views are scored",
    Reason.VIEW_CONFLICT: "the header contradicts itself on whether the view is frontal",
    Reason.FOR_PROCESSING: "raw detector data (FOR PROCESSING), not meant to be looked at",
    Reason.MULTI_FRAME: "several frames in one file",
    Reason.PAEDIATRIC: "the patient is younger than 18",
    Reason.TOO_SMALL: "too few pixels",
    Reason.TOO_LARGE: "more pixels or bytes than the limit",
    Reason.NOT_A_CHEST_RADIOGRAPH: "the image does not look like a frontal chest radiograph",
    Reason.DUPLICATE: "the same image as another file of this run",
    Reason.STILL_CHANGING: "the file is still being written; screen it again later",
    Reason.UNREADABLE: "the file cannot be opened (permission, vanished, link out of the folder)",
    Reason.OTHER_BUNDLE: "scored on an earlier night by another bundle, and the file is no longer there",
    Reason.TIMEOUT: "not read within the time a file is given; the next night tries again",
}

FLAG_MEANING: dict[Flag, str] = {
    Flag.AGE_UNKNOWN: "age not stated: make sure that this is an adult",
    Flag.VIEW_UNKNOWN: "view not stated: make sure that this is a frontal view",
    Flag.BODY_PART_UNKNOWN: "body part not stated",
    Flag.NO_PATIENT_ID: "no PatientID: grouped by study or by file",
    Flag.PLACEHOLDER_PATIENT_ID: "PatientID stands for many patients (0, ANONYMOUS, …): grouped by study or by file",
    Flag.PHOTOMETRIC_CONFLICT: "PresentationLUTShape contradicts PhotometricInterpretation, which was followed",
    Flag.VOI_IGNORED: "the stored window or VOI LUT is unusable and was ignored",
    Flag.REORIENTED: "turned or mirrored, as PatientOrientation says: check the side markers",
    Flag.ORIENTATION_IGNORED: "PatientOrientation is incomplete or contradicts itself, and was ignored",
    Flag.BITS_CONFLICT: "the grey values are wider than BitsStored, and were read in full",
    Flag.PIXEL_SIGN_CONFLICT: "the compressed pixels state another sign than PixelRepresentation",
    Flag.SHUTTER_APPLIED: "what is outside the shutter or collimator was taken for black",
    Flag.SHUTTER_IGNORED: "a shutter or collimator is a bitmap, unusable or hides nearly all, and was ignored",
    Flag.LOSSY: "lossy compression",
    Flag.IDENTITY_CONFLICT: "images under this PatientID disagree about birth date or sex: check who this is",
    Flag.UID_CONFLICT: "another file has the same SOPInstanceUID and another image",
    Flag.SOME_IMAGES_NOT_SCORED: "further images of this patient could not be scored",
    Flag.PATIENT_CHANGED: "an image came in earlier under another PatientID: check who this is",
    Flag.MAX_WAIT: "on the list for as many nights as --max-nights allows: comes first",
    Flag.RESULT_OVERDUE: "swabbed as long ago as --pending-days allows, no result: ask the laboratory, or swab again",
}
