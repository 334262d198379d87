package scantest

import (
	"fmt"
	"strconv"
	"time"
)

var (
	services = []string{"ec2", "s3", "sts", "kms", "iam", "logs", "dynamodb", "lambda", "elasticloadbalancing", "autoscaling"}
	regions  = []string{"us-east-1", "eu-central-1", "eu-west-1", "ap-southeast-2", "us-gov-west-1"}
	calls    = []string{"DescribeInstances", "AssumeRole", "Decrypt", "PutObject", "GetBucketAcl", "RunInstances", "CreateLogStream", "ListRoles"}
	agents   = []string{
		"aws-cli/2.15.30 Python/3.11.8 Linux/5.10.205-195.807.amzn2.x86_64 exe/x86_64.amzn.2 prompt/off command/ec2.describe-instances",
		"aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.24.1 md/GOOS#linux md/GOARCH#amd64 api/sts#1.33.17 m/E",
		"Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#6.1.79 md/arch#x86_64 lang/python#3.12.1 md/pyimpl#CPython cfg/retry-mode#legacy",
		"autoscaling.amazonaws.com",
		"[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10.186 OpenJDK_64-Bit_Server_VM/25.372-b08 java/1.8.0_372]",
	}
	words = []string{"orders", "billing", "prod", "staging", "warehouse", "vpc", "edge", "backup", "telemetry", "audit"}
)

func pick[T any](g *Generator, from []T) T { return from[g.rng.IntN(len(from))] }

func (g *Generator) raw(parts ...string) {
	for _, part := range parts {
		g.buf = append(g.buf, part...)
	}
}

// parameters writes an object of about size bytes; large ones are lists of resources, policy
// documents (JSON in a string, so full of escapes) or encoded user data, as in real traffic.
func (g *Generator) parameters(kind Kind, size int) {
	if kind == Decoy {
		g.raw(`{"userIdentity":{"type":"Root","arn":"arn:aws:iam::`, g.digits(12), `:root"},"note":"{\"type\":\"Root\"}","type":"Root","items":`)
	} else {
		g.raw(`{"`, pick(g, calls), `Request":{"maxResults":`, strconv.Itoa(g.rng.IntN(1000)), `,"dryRun":false},"parameters":`)
	}
	switch shape := g.rng.IntN(10); {
	case shape == 0:
		g.policy(size)
	case shape == 1:
		g.raw(`"`, g.text(size), `"`)
	default:
		g.items(size)
	}
	g.raw(`}`)
}

func (g *Generator) items(size int) {
	g.raw(`{"items":[`)
	for end := len(g.buf) + size; ; {
		g.raw(`{"resourceId":"`, g.word(), `-0`, g.digits(8), `","groupSet":{"items":[{"groupId":"sg-0`, g.digits(10),
			`"}]},"size":`, strconv.Itoa(g.rng.IntN(500)), `,"ratio":`, strconv.FormatFloat(g.rng.Float64(), 'g', 4, 64),
			`,"encrypted":true,"tagSet":[{"key":"Name","value":"`, g.word(), `/`, g.word(), `"}],"next":null}`)
		if len(g.buf) >= end {
			break
		}
		g.raw(`,`)
	}
	g.raw(`]}`)
}

func (g *Generator) policy(size int) {
	g.raw(`"{\"Version\":\"2012-10-17\",\"Statement\":[`)
	for end := len(g.buf) + size; ; {
		g.raw(`{\"Effect\":\"Allow\",\n  \"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":\"arn:aws:s3:::`, g.word(),
			`/*\",\"Condition\":{\"StringLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::\u002a:root\"}}}`)
		if len(g.buf) >= end {
			break
		}
		g.raw(`,`)
	}
	g.raw(`]}"`)
}

// word is a name that a person gave; one event in some thirty has one that is not ASCII.
func (g *Generator) word() string {
	if g.rng.IntN(400) == 0 {
		return "Bestände-数据"
	}
	return pick(g, words) + strconv.Itoa(g.rng.IntN(100))
}

func (g *Generator) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.rng.IntN(len(alphabet))]
	}
	return string(b)
}

func (g *Generator) digits(n int) string { return g.from("0123456789", n) }
func (g *Generator) upper(n int) string  { return g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", n) }

func (g *Generator) text(n int) string {
	return g.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", n)
}

func (g *Generator) uuid() string {
	a, b := g.rng.Uint64(), g.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&(1<<48-1))
}

func (g *Generator) time() string {
	return time.Unix(1_760_000_000+g.rng.Int64N(20_000_000), 0).UTC().Format(time.RFC3339)
}

func (g *Generator) address() string {
	if g.rng.IntN(5) == 0 {
		return pick(g, services) + ".amazonaws.com"
	}
	return "198.51.100." + strconv.Itoa(g.rng.IntN(256))
}
