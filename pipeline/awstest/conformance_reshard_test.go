package awstest_test

import (
	"math/big"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	shard1 = "shardId-000000000001"
	shard2 = "shardId-000000000002"
)

var half = new(big.Int).Lsh(big.NewInt(1), 127)

func (p *probe) split(name, shard string, at *big.Int) error {
	_, err := p.k.SplitShard(p.ctx, &kinesis.SplitShardInput{StreamName: &name, ShardToSplit: &shard, NewStartingHashKey: aws.String(at.String())})
	if err == nil {
		p.active(name)
	}
	return err
}

// merge merges the stream's first shard and another.
func (p *probe) merge(name, other string) error {
	_, err := p.k.MergeShards(p.ctx, &kinesis.MergeShardsInput{StreamName: &name, ShardToMerge: aws.String(shard0), AdjacentShardToMerge: &other})
	if err == nil {
		p.active(name)
	}
	return err
}

func (p *probe) scale(name string, target int32) error {
	_, err := p.k.UpdateShardCount(p.ctx, &kinesis.UpdateShardCountInput{StreamName: &name, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
	if err == nil {
		p.active(name)
	}
	return err
}

func (p *probe) ok(err error) {
	if err != nil {
		p.Fatalf("%v", err)
	}
}

// readToEnd reads a closed shard until it has no next iterator, and gives the last answer.
func (p *probe) readToEnd(name, shard string) ([]string, *kinesis.GetRecordsOutput) {
	it, got := p.horizon(name, shard), []string{}
	for range 20 {
		out := p.get(it)
		got = append(got, texts(out.Records)...)
		if out.NextShardIterator == nil {
			return got, out
		}
		it = out.NextShardIterator
	}
	p.Fatalf("%s has no end", shard)
	return nil, nil
}

var reshardFacts = []fact{
	{"a split closes the parent and opens two children with its keys", func(p *probe) {
		name := p.stream(1)
		p.put(name, "before", "k")
		p.ok(p.split(name, shard0, half))
		shards := p.shards(name)
		if len(shards) != 3 || isOpen(shards[0]) {
			p.Fatalf("%d shards, the first open: %v", len(shards), isOpen(shards[0]))
		}
		p.covers(shards)
		end := decimal(shards[0].SequenceNumberRange.EndingSequenceNumber)
		for _, child := range shards[1:] {
			p.equal("parent", aws.ToString(child.ParentShardId), shard0)
			p.equal("second parent", child.AdjacentParentShardId, (*string)(nil))
			if decimal(child.SequenceNumberRange.StartingSequenceNumber).Cmp(end) <= 0 {
				p.Errorf("child %s starts at %s, before its parent's end %s", *child.ShardId, *child.SequenceNumberRange.StartingSequenceNumber, end)
			}
		}
		p.equal("upper child's first key", decimal(shards[2].HashKeyRange.StartingHashKey).String(), half.String())
		p.equal("open shards", *p.summary(name).OpenShardCount, int32(2))
	}},
	{"records after a split go to the children, those before it stay", func(p *probe) {
		name := p.stream(1)
		last := p.put(name, "before", "k").SequenceNumber
		p.ok(p.split(name, shard0, half))
		p.equal("shard", *p.putTo(name, "low", big.NewInt(0)).ShardId, shard1)
		high := p.putTo(name, "high", half)
		p.equal("shard", *high.ShardId, shard2)
		if decimal(high.SequenceNumber).Cmp(decimal(last)) <= 0 {
			p.Errorf("the child's record %s is not above the parent's %s", *high.SequenceNumber, *last)
		}
		got, _ := p.readToEnd(name, shard0)
		p.equal("parent", got, []string{"before"})
		p.equal("child", texts(p.get(p.horizon(name, shard1)).Records), []string{"low"})
	}},
	{"a closed shard ends: no next iterator", func(p *probe) {
		name := p.stream(1)
		p.put(name, "before", "k")
		latest := p.iterator(kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String(shard0), ShardIteratorType: types.ShardIteratorTypeLatest})
		p.ok(p.split(name, shard0, half))
		p.readToEnd(name, shard0)
		out := p.get(latest)
		if len(out.Records) != 0 {
			p.Errorf("records %q at the latest position", texts(out.Records))
		}
	}},
	{"the end of a split shard names its children", func(p *probe) {
		name := p.stream(1)
		p.put(name, "before", "k")
		p.ok(p.split(name, shard0, half))
		_, end := p.readToEnd(name, shard0)
		p.equal("children", len(end.ChildShards), 2)
		for _, child := range end.ChildShards {
			p.equal("parents", child.ParentShards, []string{shard0})
			if child.HashKeyRange == nil || !slices.Contains([]string{shard1, shard2}, *child.ShardId) {
				p.Errorf("child %+v", child)
			}
		}
	}},
	{"an open shard names no children", func(p *probe) {
		name := p.stream(1)
		p.equal("children", len(p.get(p.horizon(name, shard0)).ChildShards), 0)
	}},
	{"a merge makes one shard of two neighbours", func(p *probe) {
		name := p.stream(2)
		p.ok(p.merge(name, shard1))
		shards := p.shards(name)
		if len(shards) != 3 || isOpen(shards[0]) || isOpen(shards[1]) {
			p.Fatalf("shards %+v", shards)
		}
		p.covers(shards)
		child := shards[2]
		p.equal("parent", aws.ToString(child.ParentShardId), shard0)
		p.equal("second parent", aws.ToString(child.AdjacentParentShardId), shard1)
		for _, parent := range shards[:2] {
			if decimal(child.SequenceNumberRange.StartingSequenceNumber).Cmp(decimal(parent.SequenceNumberRange.EndingSequenceNumber)) <= 0 {
				p.Errorf("the child starts before the end of %s", *parent.ShardId)
			}
		}
	}},
	{"the end of a merged shard names the child with both its parents", func(p *probe) {
		name := p.stream(2)
		p.ok(p.merge(name, shard1))
		for _, parent := range []string{shard0, shard1} {
			_, end := p.readToEnd(name, parent)
			if len(end.ChildShards) != 1 {
				p.Fatalf("children %+v", end.ChildShards)
			}
			parents := slices.Sorted(slices.Values(end.ChildShards[0].ParentShards))
			p.equal("parents", parents, []string{shard0, shard1})
		}
	}},
	{"only neighbours are merged, only inner keys split at, only open shards either", func(p *probe) {
		name := p.stream(3)
		p.refused(p.merge(name, shard2), "InvalidArgumentException")
		p.refused(p.split(name, shard0, new(big.Int).Lsh(big.NewInt(1), 127)), "InvalidArgumentException")
		p.refused(p.split(name, "shardId-000000000009", half), "ResourceNotFoundException")
		p.refused(p.merge(name, "shardId-000000000009"), "ResourceNotFoundException")
	}},
	{"a closed shard can not be split again", func(p *probe) {
		name := p.stream(1)
		p.ok(p.split(name, shard0, half))
		p.refused(p.split(name, shard0, new(big.Int).Rsh(half, 1)), "InvalidArgumentException")
	}},
	{"ShardFilter AT_LATEST gives the open shards", func(p *probe) {
		name := p.stream(1)
		p.ok(p.split(name, shard0, half))
		for kind, want := range map[types.ShardFilterType]int{types.ShardFilterTypeAtLatest: 2, types.ShardFilterTypeFromTrimHorizon: 3} {
			out := must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &name, ShardFilter: &types.ShardFilter{Type: kind}}))
			p.equal(string(kind), len(out.Shards), want)
		}
		out := must[*kinesis.ListShardsOutput](p)(p.k.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(shard1)}}))
		p.equal("after shard 1", len(out.Shards), 1)
	}},
	{"UpdateShardCount doubles by splits", func(p *probe) {
		name := p.stream(2)
		p.ok(p.scale(name, 4))
		p.eventually("4 open shards", func() bool { return *p.summary(name).OpenShardCount == 4 })
		shards := p.shards(name)
		p.equal("shards", len(shards), 6)
		p.covers(shards)
	}},
	{"UpdateShardCount to an odd number makes equal shards", func(p *probe) {
		name := p.stream(4)
		p.ok(p.scale(name, 3))
		p.eventually("3 open shards", func() bool { return *p.summary(name).OpenShardCount == 3 })
		shards := p.shards(name)
		p.covers(shards)
		third := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(3))
		for _, sh := range shards {
			if !isOpen(sh) {
				continue
			}
			width := new(big.Int).Sub(decimal(sh.HashKeyRange.EndingHashKey), decimal(sh.HashKeyRange.StartingHashKey))
			if width.Sub(width, third).CmpAbs(big.NewInt(4)) > 0 {
				p.Errorf("%s is %s keys off a third", *sh.ShardId, width)
			}
			if sh.ParentShardId == nil && *sh.ShardId > "shardId-000000000003" {
				p.Errorf("%s has no parent", *sh.ShardId)
			}
		}
	}},
	{"UpdateShardCount can not more than double or halve", func(p *probe) {
		name := p.stream(4)
		p.refused(p.scale(name, 9), "InvalidArgumentException", "LimitExceededException")
		p.refused(p.scale(name, 1), "InvalidArgumentException", "LimitExceededException")
	}},
}
