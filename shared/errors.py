"""The errors of the service. Each has a code and a message; `shared.http` knows the HTTP status of each class."""


class SwitchboardError(Exception):
    """Base of every error that a caller gets; `str(error)` is the `detail` of the answer."""

    code = "internal_error"
    message = "internal error"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.message)


class ConfigurationError(SwitchboardError):
    """A setting has an invalid value. The message names the variable and does not have the value."""


class InvalidRequestError(SwitchboardError):
    """The request's shape is wrong: bad JSON, a wrong type, a missing or unknown field, a bad cursor or limit."""

    code = "invalid_request"
    message = "invalid request"


class InvalidSessionDataError(SwitchboardError):
    """Base of the errors about a new session's data."""

    code = "invalid_session_data"
    message = "invalid session data"


class InvalidSessionNameError(InvalidSessionDataError):
    """The name is empty, blank, too long or not printable."""

    code = "invalid_session_name"
    message = "session name must be 1-200 characters"


class InvalidCreatedByError(InvalidSessionDataError):
    """The creator is not a user id."""

    code = "invalid_created_by"
    message = "created_by must be valid user ID"


class EmptyStudentListError(InvalidSessionDataError):
    """A session needs at least one student."""

    code = "empty_student_list"
    message = "student list cannot be empty"


class InvalidStudentIDError(InvalidSessionDataError):
    """One of the students is not a user id; the detail says which."""

    code = "invalid_student_id"
    message = "invalid student ID format"


class InvalidRoleError(SwitchboardError):
    """The role is neither `student` nor `instructor`."""

    code = "invalid_role"
    message = "invalid role: must be 'student' or 'instructor'"


class InvalidUserIDError(SwitchboardError):
    """A user id in a query or a message is malformed."""

    code = "invalid_user_id"
    message = "user ID must be 1-50 characters of A-Z, a-z, 0-9, '_' or '-'"


class InvalidMessageTypeError(SwitchboardError):
    """The message type is none of the six."""

    code = "invalid_message_type"
    message = (
        "message type must be one of instructor_inbox, request_response, analytics (sent by students),"
        " inbox_response, request, instructor_broadcast (sent by instructors)"
    )


class InvalidContextError(SwitchboardError):
    """The message's context is malformed."""

    code = "invalid_context"
    message = "context must be 1-50 characters of A-Z, a-z, 0-9, '_' or '-'"


class InvalidContentError(SwitchboardError):
    """The message's content is not a JSON object that can be stored."""

    code = "invalid_content"
    message = "content must be a JSON object"


class InvalidRecipientError(SwitchboardError):
    """A recipient is missing, unexpected, malformed or not one of the session's students."""

    code = "invalid_recipient"
    message = "to_user must be one of the session's students"


class ContentTooLargeError(SwitchboardError):
    """The content, or a whole request body, is larger than its limit."""

    code = "content_too_large"
    message = "content must be at most 65536 bytes of compact JSON"


class UnauthorizedError(SwitchboardError):
    """The user may not take part in this session."""

    code = "unauthorized"
    message = "user not authorized for this session"


class UnauthenticatedError(SwitchboardError):
    """Callers must be verified, and this call has no verified caller."""

    code = "unauthenticated"
    message = "a valid token is needed: send it as 'Authorization: Bearer <token>'"


class IdentityMismatchError(SwitchboardError):
    """The request names another user or role than the caller's; the detail names the field."""

    code = "identity_mismatch"
    message = "the request names another user or role than the caller's"


class IdentityUnavailableError(SwitchboardError):
    """The keys of an issuer cannot be fetched, so no token of it can be verified. `retry_after` is in seconds."""

    code = "identity_unavailable"
    message = "tokens cannot be verified at the moment, try again"
    retry_after = 5


class LiveUnavailableError(SwitchboardError):
    """Nobody can connect: the platform is unavailable, or no WebSocket API is set up. `retry_after` is in seconds."""

    code = "live_unavailable"
    message = "connections cannot be served at the moment, try again"
    retry_after = 5


class RateLimitedError(SwitchboardError):
    """The sender has sent as many messages within a minute as the settings allow. `retry_after` is in seconds."""

    code = "rate_limited"
    message = "too many messages within a minute"

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(f"at most {limit} messages a minute: try again in {retry_after} s")
        self.retry_after = retry_after


class SessionNotFoundError(SwitchboardError):
    """No session has this id."""

    code = "session_not_found"
    message = "session not found"


class SessionAlreadyEndedError(SwitchboardError):
    """The session had ended before, at `end_time`."""

    code = "session_already_ended"
    message = "session is already ended"

    def __init__(self, end_time: str | None = None) -> None:
        super().__init__()
        self.end_time = end_time


class SessionEndedError(SwitchboardError):
    """The session is over: nobody may join it or write to it."""

    code = "session_ended"
    message = "session has ended"


class InvalidIdempotencyKeyError(SwitchboardError):
    """The `Idempotency-Key` header is malformed."""

    code = "invalid_idempotency_key"
    message = "Idempotency-Key must be 1-255 printable ASCII characters, quoted or bare"


class IdempotencyKeyReusedError(SwitchboardError):
    """The key was used for another request within its 24 hours."""

    code = "idempotency_key_reused"
    message = "Idempotency-Key was already used with another request: use a new key for a new request"


class DatabaseError(SwitchboardError):
    """Base of the errors of the database. `retry_after` is in seconds, None where waiting does not help."""

    code = "database_unavailable"
    message = "database is unavailable"
    retry_after: int | None = 5

    can_pass = False
    """Whether the single writer may try once more. It is set where the cause is known."""

    transient = False
    """Whether to try again at once, until the caller's deadline: after a lost race or a lost connection."""

    outcome_unknown = False
    """Whether the write may have been committed although it failed."""


class DatabaseUnavailableError(DatabaseError):
    """The database cannot be opened or read: a missing file, an I/O error, too many open files."""


class DatabaseBusyError(DatabaseError):
    """The write was not made: the queue is full, or the write lock was not released in time."""

    code = "database_busy"
    message = "database is busy: nothing was written, try again"
    retry_after = 1


class DatabaseTimeoutError(DatabaseError):
    """The deadline passed during the commit: the write may have been committed."""

    code = "database_timeout"
    message = "database did not answer in time: the write may have been made, repeat it with the same Idempotency-Key"
    retry_after = 1


class DatabaseFullError(DatabaseError):
    """No space is left for the write."""

    code = "database_full"
    message = "database storage is full: nothing was written"
    retry_after = 60


class DatabaseReadOnlyError(DatabaseError):
    """The database can be read but not written."""

    code = "database_read_only"
    message = "database is read-only: nothing was written"
    retry_after = None


class DatabaseCorruptError(DatabaseError):
    """The file is damaged or is not a database."""

    code = "database_corrupt"
    message = "database is damaged or not a database"
    retry_after = None


class DatabaseSchemaError(DatabaseError):
    """The tables differ from those that this version needs."""

    code = "database_schema"
    message = "database schema does not match this version of the service"
    retry_after = None


class DatabaseClosedError(DatabaseError):
    """The database was closed in this process, or opened in the parent of a fork."""

    code = "database_closed"
    message = "database is closed"
    retry_after = 1
