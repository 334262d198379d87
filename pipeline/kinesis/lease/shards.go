package lease

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// shard is one shard of the stream as ListShards shows it.
type shard struct {
	ID      string
	Parents []string // none, the parent of a split, or both parents of a merge
	Start   string   // first sequence number: two shards of one name in two streams differ in it
	Closed  bool     // no record will be added
	End     string   // the last sequence number that it may have; "" unless it is closed
}

// another reports whether a shard of the same name began elsewhere: it is a shard of a stream that
// was deleted or made anew.
func (s *shard) another(start string) bool { return start != "" && s.Start != "" && start != s.Start }

// Stream names the stream in the calls of Kinesis: by ARN where one was given (another account's
// stream can only be named so), else by name.
type Stream struct {
	Name string
	ARN  string // "" when only the name was given
}

// ParseStream takes the name or the ARN of a stream.
func ParseStream(s string) (Stream, error) {
	name := s
	if strings.HasPrefix(s, "arn:") {
		parts := strings.SplitN(s, ":", 6)
		if len(parts) != 6 || parts[2] != "kinesis" || !strings.HasPrefix(parts[5], "stream/") {
			return Stream{}, fmt.Errorf("%q is not the ARN of a Kinesis stream (arn:aws:kinesis:REGION:ACCOUNT:stream/NAME)", s)
		}
		name = strings.TrimPrefix(parts[5], "stream/")
	}
	if !validName(name) {
		return Stream{}, fmt.Errorf("%q is not a stream's name: 1 to 128 letters, digits, '_', '.' and '-'", name)
	}
	ref := Stream{Name: name}
	if name != s {
		ref.ARN = s
	}
	return ref, nil
}

// validName reports whether a stream may have that name.
func validName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
	}) < 0
}

// Params returns the two members of a request that name the stream, one of them set.
func (r Stream) Params() (name, arn *string) {
	if r.ARN != "" {
		return nil, aws.String(r.ARN)
	}
	return aws.String(r.Name), nil
}

// String is the ARN where one was given, else the name.
func (r Stream) String() string {
	if r.ARN != "" {
		return r.ARN
	}
	return r.Name
}

// listShards reads all shards that are not yet deleted, page by page.
func listShards(ctx context.Context, svc *awskinesis.Client, stream Stream, timeout time.Duration) (map[string]*shard, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	shards := make(map[string]*shard)
	in := &awskinesis.ListShardsInput{}
	in.StreamName, in.StreamARN = stream.Params()
	for {
		out, err := svc.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing the shards of stream %s: %w", stream, err)
		}
		for _, s := range out.Shards {
			sh := &shard{ID: aws.ToString(s.ShardId)}
			if s.SequenceNumberRange != nil {
				sh.Start = aws.ToString(s.SequenceNumberRange.StartingSequenceNumber)
				sh.End = aws.ToString(s.SequenceNumberRange.EndingSequenceNumber)
				sh.Closed = sh.End != ""
			}
			for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
				if aws.ToString(p) != "" {
					sh.Parents = append(sh.Parents, *p)
				}
			}
			shards[sh.ID] = sh
		}
		if out.NextToken == nil {
			return shards, nil
		}
		in = &awskinesis.ListShardsInput{NextToken: out.NextToken} // the stream may not be named beside a token
	}
}

// OpenShard returns a shard of the stream that may get records, "" if there is none.
func OpenShard(ctx context.Context, svc *awskinesis.Client, stream Stream) (shardID string, err error) {
	shards, err := listShards(ctx, svc, stream, 30*time.Second)
	if err != nil {
		return "", err
	}
	for id, s := range shards {
		if !s.Closed || len(shards) == 1 {
			return id, nil
		}
	}
	return "", nil
}

// Ending is what the list of shards shows of the end of a shard.
type Ending struct {
	Closed   bool
	Last     string // no record has a greater sequence number; "" unless it is closed
	Children bool   // shards are listed that it was split or merged into
}

// EndOf asks Kinesis for the end of a shard. Of one that is not listed nothing is known.
func EndOf(ctx context.Context, svc *awskinesis.Client, stream Stream, shardID string) (Ending, error) {
	shards, err := listShards(ctx, svc, stream, 10*time.Second)
	if err != nil || shards[shardID] == nil {
		return Ending{}, err
	}
	e := Ending{Closed: shards[shardID].Closed, Last: shards[shardID].End}
	for _, s := range shards {
		e.Children = e.Children || slices.Contains(s.Parents, shardID)
	}
	return e, nil
}

// mayStart is the parent gate: a child may be read only when each of its parents is finished or
// gone from the stream, or events of one principal would overtake each other and a merge would
// forget its second parent.
func mayStart(s *shard, shards map[string]*shard, leases map[string]*row) bool {
	for _, p := range s.Parents {
		if _, listed := shards[p]; !listed {
			continue // deleted after the retention period
		}
		if l := leases[p]; l == nil || !l.finished() {
			return false
		}
	}
	return true
}

// bornRead reports whether the application has read from a parent of the shard, so that the shard
// must be read from its beginning, whatever the configured start is. A parent that had ended before
// the application's start was finished without being read: its child begins where the application
// does.
func bornRead(s *shard, leases map[string]*row) bool {
	for _, p := range s.Parents {
		if l := leases[p]; l != nil && l.checkpoint != "" && l.checkedAt != neverRead && !l.stale {
			return true
		}
	}
	return false
}
