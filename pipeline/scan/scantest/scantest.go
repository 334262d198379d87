// Package scantest makes CloudTrail traffic that looks like an organisation's: for benchmarks and
// differential tests of whatever reads events.
//
// The same seed gives the same traffic. Sizes follow what was measured on public records wrapped by
// EventBridge: about 2.3 KB in the mean, 9.5 KB at the 99th percentile, 200 KB at most.
package scantest

import (
	"math/rand/v2"
	"strconv"
)

// Kind says what a sample is, independent of any reader's opinion.
type Kind uint8

// Kinds of samples.
const (
	Ordinary  Kind = iota // by somebody who is surely not root
	Decoy                 // not root, with "Root" where it means nothing
	Root                  // userIdentity.type is Root
	Escaped               // root, spelled with JSON escapes
	Malformed             // not valid JSON
)

// Sample is one record and what it is.
type Sample struct {
	Data []byte
	Kind Kind
}

// Generator makes samples. It is not safe for concurrent use.
type Generator struct {
	rng *rand.Rand
	buf []byte
}

// New returns a generator whose output depends on seed alone.
func New(seed uint64) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, 0x726f6f74))}
}

// Workload returns n samples of EventBridge envelopes in the mix of a busy stream: one in a
// thousand by root (a quarter of these with escapes), one in a thousand malformed, one in twenty a
// decoy, the others ordinary. The first 200 hold at least one of each kind.
func (g *Generator) Workload(n int) []Sample {
	samples := make([]Sample, n)
	for i := range samples {
		kind := Ordinary
		switch turn := i % 4000; {
		case turn == 40, turn == 1040, turn == 2040:
			kind = Root
		case turn == 80:
			kind = Escaped
		case turn%1000 == 120:
			kind = Malformed
		case turn%20 == 10:
			kind = Decoy
		}
		samples[i] = Sample{Data: g.Envelope(kind), Kind: kind}
	}
	return samples
}

// Envelope returns one event as EventBridge delivers it.
func (g *Generator) Envelope(kind Kind) []byte {
	g.buf = g.buf[:0]
	service := pick(g, services)
	detailType := "AWS API Call via CloudTrail"
	if g.rng.IntN(50) == 0 {
		detailType = "AWS Service Event via CloudTrail"
	}
	account := g.digits(12)
	region := pick(g, regions)
	g.raw(`{"version":"0","id":"`, g.uuid(), `","detail-type":"`, detailType, `","source":"aws.`, service,
		`","account":"`, account, `","time":"`, g.time(), `","region":"`, region, `","resources":[],"detail":`)
	g.record(kind, service, account, region)
	g.raw(`}`)
	return g.finish(kind)
}

// Bare returns one event as it stands in an S3 log file's Records.
func (g *Generator) Bare(kind Kind) []byte {
	g.buf = g.buf[:0]
	g.record(kind, pick(g, services), g.digits(12), pick(g, regions))
	return g.finish(kind)
}

// finish returns a copy of what was written, broken in one of several ways when it is to be
// malformed.
func (g *Generator) finish(kind Kind) []byte {
	out := append([]byte(nil), g.buf...)
	if kind != Malformed {
		return out
	}
	switch g.rng.IntN(4) {
	case 0: // cut off
		return out[:1+g.rng.IntN(len(out)-1)]
	case 1: // a member without its comma
		return append(out[:len(out)-1], `"left":1}`...)
	case 2: // a control character inside a string
		return append(out[:len(out)-1], ",\"left\":\"a\x01b\"}"...)
	default: // an escape that JSON does not know
		return append(out[:len(out)-1], `,"left":"\x41"}`...)
	}
}

func (g *Generator) record(kind Kind, service, account, region string) {
	call := pick(g, calls)
	g.raw(`{"eventVersion":"1.11","userIdentity":`)
	g.identity(kind, account)
	g.raw(`,"eventTime":"`, g.time(), `","eventSource":"`, service, `.amazonaws.com","eventName":"`, call,
		`","awsRegion":"`, region, `","sourceIPAddress":"`, g.address(), `","userAgent":"`, pick(g, agents), `"`)
	if g.rng.IntN(6) == 0 {
		g.raw(`,"errorCode":"AccessDenied","errorMessage":"User: arn:aws:sts::`, account,
			`:assumed-role/deploy is not authorized to perform: `, service, `:`, call, ` because no identity-based policy allows it"`)
	}
	g.raw(`,"requestParameters":`)
	g.parameters(kind, g.size())
	g.raw(`,"responseElements":`)
	if g.rng.IntN(3) > 0 {
		g.raw(`null`)
	} else {
		g.items(80 + g.rng.IntN(400))
	}
	if g.rng.IntN(4) == 0 {
		g.raw(`,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":`,
			strconv.Itoa(g.rng.IntN(1e5)), `,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"`, g.text(76), `","bytesTransferredOut":`,
			strconv.Itoa(g.rng.IntN(1e7)), `}`)
	}
	g.raw(`,"requestID":"`, g.uuid(), `","eventID":"`, g.uuid(), `","readOnly":`, pick(g, []string{"true", "false"}),
		`,"resources":[{"accountId":"`, account, `","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::`, g.word(), `-`, account,
		`"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"`, account,
		`","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"`,
		service, `.`, region, `.amazonaws.com"}}`)
}

func (g *Generator) identity(kind Kind, account string) {
	key := "ASIA" + g.upper(16)
	switch kind {
	case Root:
		g.raw(`{"type":"Root","principalId":"`, account, `","arn":"arn:aws:iam::`, account, `:root","accountId":"`, account,
			`","accessKeyId":"`, key, `","sessionContext":{"attributes":{"creationDate":"`, g.time(), `","mfaAuthenticated":"true"}}}`)
		return
	case Escaped:
		g.raw(pick(g, []string{`{"type":"\u0052oot"`, `{"\u0074ype":"Root"`, `{"type":"R\u006fot"`}), `,"principalId":"`, account,
			`","arn":"arn:aws:iam::`, account, `:root","accountId":"`, account, `"}`)
		return
	}
	role := pick(g, []string{"deploy", "admin", "ci-runner", "AWSServiceRoleForAutoScaling", "data-pipeline"}) + "-" + g.word()
	issuer := "Role"
	if kind == Decoy {
		issuer = "Root" // a session of an assumed role is not root, whatever its issuer is called
	}
	switch g.rng.IntN(8) {
	case 0:
		g.raw(`{"type":"AWSService","invokedBy":"`, pick(g, services), `.amazonaws.com"}`)
	case 1, 2:
		g.raw(`{"type":"IAMUser","principalId":"AIDA`, g.upper(17), `","arn":"arn:aws:iam::`, account, `:user/`, role,
			`","accountId":"`, account, `","accessKeyId":"AKIA`, g.upper(16), `","userName":"`, role, `"}`)
	default:
		id := "AROA" + g.upper(17)
		g.raw(`{"type":"AssumedRole","principalId":"`, id, `:`, g.word(), `","arn":"arn:aws:sts::`, account, `:assumed-role/`, role,
			`/session","accountId":"`, account, `","accessKeyId":"`, key, `","sessionContext":{"sessionIssuer":{"type":"`, issuer,
			`","principalId":"`, id, `","arn":"arn:aws:iam::`, account, `:role/`, role, `","accountId":"`, account, `","userName":"`, role,
			`"},"webIdFederationData":{},"attributes":{"creationDate":"`, g.time(), `","mfaAuthenticated":"false"}}}`)
	}
}

// size draws the bytes of requestParameters: one in a hundred events is large, one in five thousand
// huge.
func (g *Generator) size() int {
	switch n := g.rng.IntN(5000); {
	case n == 0:
		return 60_000 + g.rng.IntN(135_000)
	case n < 60:
		return 5_000 + g.rng.IntN(12_000)
	default:
		return 60 + int(g.rng.ExpFloat64()*200)
	}
}
