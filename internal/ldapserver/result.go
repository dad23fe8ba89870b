package ldapserver

import (
	"fmt"
	"strconv"
)

// ResultCode is a result of RFC 4511 §4.1.9.
type ResultCode int

// The result codes that this server sends by itself.
const (
	Success                ResultCode = 0
	OperationsError        ResultCode = 1
	ProtocolError          ResultCode = 2
	TimeLimitExceeded      ResultCode = 3
	SizeLimitExceeded      ResultCode = 4
	AuthMethodNotSupported ResultCode = 7
	StrongerAuthRequired   ResultCode = 8
	Referral               ResultCode = 10
	AdminLimitExceeded     ResultCode = 11
	UnavailableCritical    ResultCode = 12
	ConfidentialityNeeded  ResultCode = 13
	NoSuchAttribute        ResultCode = 16
	ConstraintViolation    ResultCode = 19
	TypeOrValueExists      ResultCode = 20
	NoSuchObject           ResultCode = 32
	InvalidDNSyntax        ResultCode = 34
	InappropriateAuth      ResultCode = 48
	InvalidCredentials     ResultCode = 49
	InsufficientAccess     ResultCode = 50
	Busy                   ResultCode = 51
	Unavailable            ResultCode = 52
	UnwillingToPerform     ResultCode = 53
	NamingViolation        ResultCode = 64
	NotAllowedOnNonLeaf    ResultCode = 66
	EntryAlreadyExists     ResultCode = 68
	Other                  ResultCode = 80
)

// Error is an operation's failure with its result code.
type Error struct {
	Code    ResultCode
	Message string
	Matched string // the closest name that exists, with NoSuchObject
	// Referrals are where to ask instead, with Referral.
	Referrals []string
}

// Error returns the message with the code.
func (e *Error) Error() string { return e.Message + " (result " + strconv.Itoa(int(e.Code)) + ")" }

// failf returns an Error with a formatted message.
func failf(code ResultCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
