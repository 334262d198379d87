package tables

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"rootwatch/pipeline/awstest/expr"
	"rootwatch/pipeline/awstest/wire"
)

// table holds its items in the order of a Scan: by a hash of the partition key, then by the sort
// key.
type table struct {
	id       uint64
	name     string
	arn      string
	keys     []keyAttribute // partition key, then the sort key if there is one
	created  time.Time
	activeAt time.Time // CREATING before
	billing  string
	capacity throughput
	protect  bool

	deletedAt time.Time // DELETING until then and gone after, if not zero
	rows      []row
	bytes     int64
	before    []row // of every key that was ever written, what was there before its last write: see wire.Request.Stale
	ttl       timeToLive

	nextExpiry time.Time // when the table is next searched for expired items
}

type keyAttribute struct{ name, kind string }

// row is an item with its place in the table.
type row struct {
	key   key
	item  expr.Item
	bytes int
}

// key is an item's primary key.
type key struct {
	hash      uint64
	partition string
	sort      expr.Value
}

func (k key) compare(o key) int {
	if c := cmp.Or(cmp.Compare(k.hash, o.hash), cmp.Compare(k.partition, o.partition)); c != 0 {
		return c
	}
	c, _ := k.sort.Compare(o.sort)
	return c
}

func (t *table) isKey(name string) bool {
	return slices.ContainsFunc(t.keys, func(k keyAttribute) bool { return k.name == name })
}

const (
	maxPartitionKeyBytes = 2048
	maxSortKeyBytes      = 1024
)

// keyOf takes the primary key out of an item, or checks the Key of a request (whole is true).
func (t *table) keyOf(it expr.Item, whole bool) (key, error) {
	var k key
	if whole && len(it) != len(t.keys) {
		return k, wire.Invalid("The provided key element does not match the schema")
	}
	for i, attribute := range t.keys {
		v, ok := it[attribute.name]
		switch {
		case whole && (!ok || v.Kind() != attribute.kind):
			return k, wire.Invalid("The provided key element does not match the schema")
		case !ok:
			return k, wire.Invalid("One or more parameter values were invalid: Missing the key %s in the item", attribute.name)
		case v.Kind() != attribute.kind:
			return k, wire.Invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", attribute.name, attribute.kind, v.Kind())
		case v.Text() == "":
			return k, wire.Invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", map[string]string{"S": "string", "B": "binary"}[v.Kind()], attribute.name)
		}
		if i == 0 {
			k.partition = v.Text()
			k.hash = hashPartition(k.partition)
		} else {
			k.sort = v
		}
		if limit := []int{maxPartitionKeyBytes, maxSortKeyBytes}[i]; v.Size() > limit {
			return k, wire.Invalid("One or more parameter values were invalid: Size of %s has exceeded the maximum size limit of %d bytes", []string{"hashkey", "rangekey"}[i], limit)
		}
	}
	return k, nil
}

func hashPartition(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64() * 0x9e3779b97f4a7c15 // fnv alone leaves short keys in their order
}

// keyItem is the primary key as a Key, out of a whole item.
func (t *table) keyItem(it expr.Item) expr.Item {
	k := expr.Item{}
	for _, attribute := range t.keys {
		k[attribute.name] = it[attribute.name]
	}
	return k
}

// find gives the place of a key, and whether an item is there.
func (t *table) find(k key) (int, bool) {
	return findRow(t.rows, k)
}

func findRow(rows []row, k key) (int, bool) {
	return slices.BinarySearchFunc(rows, k, func(r row, k key) int { return r.key.compare(k) })
}

// get is the item of a key, nil if there is none.
func (t *table) get(k key) expr.Item {
	if i, found := t.find(k); found {
		return t.rows[i].item
	}
	return nil
}

// put stores an item in the place of its key; nil removes it.
func (t *table) put(k key, it expr.Item) {
	i, found := t.find(k)
	t.keep(row{k, t.get(k), 0})
	if found {
		t.bytes -= int64(t.rows[i].bytes)
	}
	r := row{k, it, it.Size()}
	switch {
	case it == nil && found:
		t.rows = slices.Delete(t.rows, i, i+1)
		return
	case it == nil:
		return
	case found:
		t.rows[i] = r
	default:
		t.rows = slices.Insert(t.rows, i, r)
	}
	t.bytes += int64(r.bytes)
}

// keep notes what a write is about to replace; the row's item is nil if that is nothing.
func (t *table) keep(old row) {
	old.bytes = old.item.Size()
	i, found := findRow(t.before, old.key)
	if found {
		t.before[i] = old
		return
	}
	t.before = slices.Insert(t.before, i, old)
}

// seenBy is the table as a read shows it: as it was before if the read need not be consistent and a
// fault says so.
func (t *table) seenBy(r *wire.Request, consistent bool) *table {
	if consistent || !r.Stale {
		return t
	}
	was := *t
	was.rows = slices.DeleteFunc(slices.Clone(t.before), func(r row) bool { return r.item == nil })
	return &was
}

func (t *table) status(now time.Time) string {
	switch {
	case !t.deletedAt.IsZero():
		return "DELETING"
	case now.Before(t.activeAt):
		return "CREATING"
	}
	return "ACTIVE"
}

// goneAt reports whether a table's deletion has ended.
func (t *table) goneAt(now time.Time) bool {
	return !t.deletedAt.IsZero() && !now.Before(t.deletedAt)
}

// timeToLive is a table's TimeToLiveSpecification.
type timeToLive struct {
	AttributeName string
	Enabled       bool
}

// expiryDelay is how long an expired item stays to be read. AWS promises "within a few days" and no
// sooner: readers must check the time themselves.
const expiryDelay = 48 * time.Hour

// maxExpiry is how old a time to live may be to be believed: AWS ignores what is over five years
// old.
const maxExpiry = 5 * 365 * 24 * time.Hour

// expiryInterval is how often a table is searched for them.
const expiryInterval = time.Minute

// expire removes the items whose time to live ended expiryDelay ago.
func (t *table) expire(now time.Time) {
	if !t.ttl.Enabled || now.Before(t.nextExpiry) {
		return
	}
	t.nextExpiry = now.Add(expiryInterval)
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool {
		gone := t.hasExpired(r.item, now)
		if gone {
			t.keep(r)
			t.bytes -= int64(r.bytes)
		}
		return gone
	})
}

func (t *table) hasExpired(it expr.Item, now time.Time) bool {
	expires, ok := it[t.ttl.AttributeName].Whole()
	age := now.Unix() - expires
	return ok && age > int64(expiryDelay/time.Second) && age < int64(maxExpiry/time.Second)
}

type throughput struct{ ReadCapacityUnits, WriteCapacityUnits int64 }
