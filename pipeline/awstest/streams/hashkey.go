package streams

import (
	"crypto/md5"
	"encoding/binary"
	"math/big"
	"math/bits"
	"regexp"

	"rootwatch/pipeline/awstest/wire"
)

// hashKey is a point of the 128-bit key space that shards divide among themselves.
type hashKey struct{ hi, lo uint64 }

var maxHashKey = hashKey{1<<64 - 1, 1<<64 - 1}

// hashOf is where Kinesis puts a partition key: its MD5.
func hashOf(partitionKey string) hashKey {
	sum := md5.Sum([]byte(partitionKey))
	return hashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

func (k hashKey) less(o hashKey) bool { return k.hi < o.hi || k.hi == o.hi && k.lo < o.lo }

func (k hashKey) next() hashKey {
	lo, carry := bits.Add64(k.lo, 1, 0)
	return hashKey{k.hi + carry, lo}
}

func (k hashKey) prev() hashKey {
	lo, borrow := bits.Sub64(k.lo, 1, 0)
	return hashKey{k.hi - borrow, lo}
}

func (k hashKey) big() *big.Int {
	n := new(big.Int).SetUint64(k.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(k.lo))
}

func (k hashKey) String() string { return k.big().String() }

func hashKeyOf(n *big.Int) hashKey {
	var b [16]byte
	n.FillBytes(b[:])
	return hashKey{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

const hashKeyPattern = `0|([1-9]\d{0,38})`

var hashKeyRegexp = regexp.MustCompile(`^(` + hashKeyPattern + `)$`)

// checkHashKey refuses what AWS's pattern for a hash key does not match: that is another error than
// a number that is too large. member is its name in the request.
func checkHashKey(member, s string) error {
	if hashKeyRegexp.MatchString(s) {
		return nil
	}
	return wire.Invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", s, member, hashKeyPattern)
}

// parseHashKey reads a decimal number below 2^128.
func parseHashKey(s string) (hashKey, bool) {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 128 {
		return hashKey{}, false
	}
	return hashKeyOf(n), true
}

// uniformStarts gives the first key of each of n equal shards.
func uniformStarts(n int) []hashKey {
	width := new(big.Int).Lsh(big.NewInt(1), 128)
	width.Div(width, big.NewInt(int64(n)))
	starts := make([]hashKey, n)
	for i := range starts {
		starts[i] = hashKeyOf(new(big.Int).Mul(width, big.NewInt(int64(i))))
	}
	return starts
}
