package classify

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// Event is the part of one CloudTrail record that judging and reporting need; unknown fields are
// ignored.
//
// Only the record itself, `userIdentity` and `userIdentity.type` must have their documented JSON
// type: they lie on the way to the verdict, and a record that breaks them is an error of
// json.Unmarshal. Everything else is read leniently (see [Text]), because a field of an unexpected
// type must not lose a root call. As always in encoding/json, a `null` in place of the record
// changes nothing and is no error: whoever decodes a record out of an envelope must refuse a null
// there.
type Event struct {
	EventTime          Text     `json:"eventTime"`
	EventSource        Text     `json:"eventSource"`
	EventName          Text     `json:"eventName"`
	AWSRegion          Text     `json:"awsRegion"`
	SourceIPAddress    Text     `json:"sourceIPAddress"`
	UserAgent          Text     `json:"userAgent"`
	ErrorCode          Text     `json:"errorCode"`
	ErrorMessage       Text     `json:"errorMessage"`
	ReadOnly           Text     `json:"readOnly"` // a boolean in records: Value is "true" or "false"
	EventID            Text     `json:"eventID"`
	EventType          Text     `json:"eventType"`
	RecipientAccountID Text     `json:"recipientAccountId"`
	UserIdentity       Identity `json:"userIdentity"`
	Addendum           Addendum `json:"addendum"`

	AdditionalEventData AdditionalEventData `json:"additionalEventData"`
	RequestParameters   RequestParameters   `json:"requestParameters"`
	ResponseElements    ResponseElements    `json:"responseElements"`

	SessionCredentialFromConsole Text `json:"sessionCredentialFromConsole"`
	TLSDetails                   Text `json:"tlsDetails"`
	// SignInSessionARN was seen in sessionContext and in additionalEventData; it is accepted here
	// and in userIdentity too, for a mark of a sign-in counts wherever AWS puts it.
	SignInSessionARN Text `json:"signInSessionArn"`

	// EnvelopeAccount is the `account` of the EventBridge envelope or the `owner` of the CloudWatch
	// Logs payload that the record came in: the last resort for the account. The pipeline sets it.
	EnvelopeAccount string `json:"-"`
}

// Addendum says that CloudTrail delivered the record late or a second time
// (AWS CloudTrail User Guide, "CloudTrail record contents", addendum).
type Addendum struct {
	Reason          Text `json:"reason"`          // DELIVERY_DELAY, UPDATED_DATA or SERVICE_OUTAGE
	OriginalEventID Text `json:"originalEventID"` // of UPDATED_DATA: the event that this one replaces
	// Raw is the element as it stood, also when it was not an object.
	Raw Text `json:"-"`
}

// AdditionalEventData is what sign-in events say beside their identity; each service writes its own
// members.
type AdditionalEventData struct {
	MFAUsed          Text `json:"MFAUsed"` // "Yes" or "No", on ConsoleLogin
	Success          Text `json:"success"` // true or false, on the OAuth calls of `aws login`
	SignInSessionARN Text `json:"signInSessionArn"`
}

// RequestParameters are the members that decide how grave a call is ([Impacts]); each service
// writes its own.
type RequestParameters struct {
	UserName               Text `json:"userName"`
	Status                 Text `json:"status"`
	SerialNumber           Text `json:"serialNumber"`
	Enable                 Text `json:"enable"`
	CreateVolumePermission Text `json:"createVolumePermission"`
	LaunchPermission       Text `json:"launchPermission"`
	OperationType          Text `json:"operationType"`
	ValuesToAdd            Text `json:"valuesToAdd"`

	PublicAccessBlock PublicAccessBlock `json:"PublicAccessBlockConfiguration"`
}

// PublicAccessBlock is which of S3's blocks on public access are set, for a bucket or an account.
type PublicAccessBlock struct {
	BlockPublicACLs       Text `json:"BlockPublicAcls"`
	IgnorePublicACLs      Text `json:"IgnorePublicAcls"`
	BlockPublicPolicy     Text `json:"BlockPublicPolicy"`
	RestrictPublicBuckets Text `json:"RestrictPublicBuckets"`
}

// ResponseElements is how a sign-in event reports whether it succeeded: "Success" or "Failure" in a
// member with the event's own name (AWS CloudTrail User Guide, "AWS Management Console sign-in
// events"). All members with one of these values are kept, in the order of their names, so that an
// event that AWS adds is understood too.
type ResponseElements []Text

// Key is the access key ID that signed the call, "" if the record has none.
func (ev *Event) Key() string { return ev.UserIdentity.AccessKeyID.Value }

// LongLivedKey reports whether a long-lived key signed the call: a root key, which does not expire.
func (ev *Event) LongLivedKey() bool { return readKey(ev.UserIdentity.AccessKeyID) == longLivedKey }

// SessionStarted is when the credentials' session began, as CloudTrail writes it, "" without a
// session. The console takes a fresh key per request and `aws login` rotates its keys; this time
// stays.
func (ev *Event) SessionStarted() string {
	return ev.UserIdentity.SessionContext.Attributes.CreationDate.Value
}

// SignInSession is the ARN of the sign-in that the call's credentials come from, "" if none is
// named.
func (ev *Event) SignInSession() string {
	for _, t := range ev.signInSessions() {
		if !t.Empty() {
			return t.Value
		}
	}
	return ""
}

// signInSessions are the places where signInSessionArn is accepted. AWS writes it into
// sessionContext and, on CreateOAuth2Token, into additionalEventData (AWS Sign-In User Guide,
// "Sign-In with OAuth 2.0").
func (ev *Event) signInSessions() [4]Text {
	return [...]Text{
		ev.UserIdentity.SessionContext.SignInSessionARN, ev.UserIdentity.SignInSessionARN,
		ev.SignInSessionARN, ev.AdditionalEventData.SignInSessionARN,
	}
}

// consoleAttribute is the console's flag where it stands in the session's attributes.
func (ev *Event) consoleAttribute() Text {
	return ev.UserIdentity.SessionContext.Attributes.SessionCredentialFromConsole
}

// Outcomes are the words of a sign-in event for how it ended, nil for all other events: in another
// service's response the caller chooses texts, as the key prefix that UpdateTrail gives back.
func (ev *Event) Outcomes() ResponseElements {
	if !ev.signIn() {
		return nil
	}
	return ev.ResponseElements
}

// signIn reports whether AWS Sign-In or a page of the console wrote the event, and not the service
// that was called.
func (ev *Event) signIn() bool {
	return readEventKind(ev.EventType) == consoleSignIn || readCalled(ev.EventSource) == calledSignIn
}

// Failed reports whether the call came to nothing. It takes the record's word for a failure, and no
// word for a success beside it: what is milder for having failed must certainly have failed.
func (ev *Event) Failed() bool {
	failed := !ev.ErrorCode.Empty() || !ev.ErrorMessage.Empty()
	for _, outcome := range ev.Outcomes() {
		if outcome.name() == "success" {
			return false
		}
		failed = true
	}
	if success := ev.AdditionalEventData.Success; ev.signIn() && (success.isTrue() || success.isFalse()) {
		return success.isFalse()
	}
	return failed
}

// MFA reports whether the person had shown a second factor: "true", "false", or "" when the record
// does not tell. Sign-ins say it in additionalEventData.MFAUsed, calls in
// sessionContext.attributes.mfaAuthenticated.
func (ev *Event) MFA() string {
	for _, t := range []Text{ev.AdditionalEventData.MFAUsed, ev.UserIdentity.SessionContext.Attributes.MFAAuthenticated} {
		switch strings.ToLower(strings.TrimSpace(t.Value)) {
		case "yes", "true":
			return "true"
		case "no", "false":
			return "false"
		}
	}
	return ""
}

// AddendumReason is why CloudTrail delivered the record late or again, "" for an ordinary record.
func (ev *Event) AddendumReason() string {
	if a := &ev.Addendum; a.Reason.Value != "" {
		return a.Reason.Value
	}
	if ev.Addendum.Raw.Empty() {
		return ""
	}
	return ev.Addendum.Raw.Value
}

// UpdateOf is the eventID of the record that this one repeats with corrected data, "" for all
// others.
func (ev *Event) UpdateOf() string {
	if ev.Addendum.Reason.Value != "UPDATED_DATA" {
		return ""
	}
	return ev.Addendum.OriginalEventID.Value
}

// Text is a field that CloudTrail documents as a string.
type Text struct {
	// Value is the string; for any other JSON value its compact JSON text.
	Value string
	// Present is true when the key is there and not null, also when the string is empty.
	Present bool
	// Odd is true when the value was not a JSON string.
	Odd bool
}

// UnmarshalJSON never fails on valid JSON: what is not a string is kept as its JSON text and marked
// Odd.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case string(b) == "null":
	case len(b) > 0 && b[0] == '"':
		*t = Text{Value: unquoted(string(b)), Present: true}
	default:
		*t = Text{Value: compact(b), Present: true, Odd: true}
	}
	return nil
}

// Empty is true when the field says nothing: it is absent, null, "", or an object or array whose
// members are all empty in the same sense (see [EmptyValue]).
func (t Text) Empty() bool {
	return !t.Present || t.Value == "" || t.Odd && EmptyValue(t.Value)
}

// isTrue reads a flag that records carry as the string "true" or as a boolean.
func (t Text) isTrue() bool { return strings.EqualFold(strings.TrimSpace(t.Value), "true") }

// isFalse is not the opposite of isTrue: what is neither was not understood.
func (t Text) isFalse() bool { return strings.EqualFold(strings.TrimSpace(t.Value), "false") }

// notAFlag reports whether a value stands where a flag could and is none.
func (t Text) notAFlag() bool { return !t.Empty() && !t.isTrue() && !t.isFalse() }

// name is the value as names are compared: trimmed and in lower case; "" for what is not a string.
// Only ASCII is folded, or the Kelvin sign would pass for a k.
func (t Text) name() string {
	if t.Odd {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.Trim(t.Value, " \t\r\n"))
}

// UnmarshalJSON takes any JSON value.
func (a *Addendum) UnmarshalJSON(b []byte) error {
	if err := readMembers(b, member{"reason", &a.Reason}, member{"originalEventID", &a.OriginalEventID}); err != nil {
		return err
	}
	return a.Raw.UnmarshalJSON(b)
}

// UnmarshalJSON takes any JSON value.
func (a *AdditionalEventData) UnmarshalJSON(b []byte) error {
	return readMembers(b, member{"MFAUsed", &a.MFAUsed}, member{"success", &a.Success}, member{"signInSessionArn", &a.SignInSessionARN})
}

// UnmarshalJSON takes any JSON value.
func (p *RequestParameters) UnmarshalJSON(b []byte) error {
	return readMembers(b,
		member{"userName", &p.UserName},
		member{"status", &p.Status},
		member{"serialNumber", &p.SerialNumber},
		member{"enable", &p.Enable},
		member{"createVolumePermission", &p.CreateVolumePermission},
		member{"launchPermission", &p.LaunchPermission},
		member{"operationType", &p.OperationType},
		member{"valuesToAdd", &p.ValuesToAdd},
		member{"PublicAccessBlockConfiguration", &p.PublicAccessBlock},
	)
}

// UnmarshalJSON takes any JSON value.
func (p *PublicAccessBlock) UnmarshalJSON(b []byte) error {
	return readMembers(b,
		member{"BlockPublicAcls", &p.BlockPublicACLs},
		member{"IgnorePublicAcls", &p.IgnorePublicACLs},
		member{"BlockPublicPolicy", &p.BlockPublicPolicy},
		member{"RestrictPublicBuckets", &p.RestrictPublicBuckets},
	)
}

// UnmarshalJSON takes any JSON value.
func (r *ResponseElements) UnmarshalJSON(b []byte) error {
	var outcomes map[string]Text // of several members with one name the last counts
	for name, value := range members(b) {
		outcome, ok := readOutcome(value)
		switch {
		case ok && outcomes == nil:
			outcomes = make(map[string]Text)
			fallthrough
		case ok:
			outcomes[unquoted(string(name))] = outcome
		case len(outcomes) > 0:
			delete(outcomes, unquoted(string(name)))
		}
	}
	names := slices.AppendSeq(make([]string, 0, len(outcomes)), maps.Keys(outcomes))
	slices.Sort(names)
	*r = slices.Grow(*r, len(names))
	for _, name := range names {
		*r = append(*r, outcomes[name])
	}
	return nil
}

// readOutcome reads one of the words for how a sign-in ended; ok is false for any other value.
func readOutcome(value []byte) (outcome Text, ok bool) {
	if value[0] != '"' || outcome.UnmarshalJSON(value) != nil {
		return Text{}, false
	}
	name := outcome.name()
	return outcome, name == "success" || name == "failure"
}
