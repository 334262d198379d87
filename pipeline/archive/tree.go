package archive

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
)

// tree goes through what is below one folder, in the order of the names. Links to folders are
// followed when all else is read: a folder that is reached both ways is shown under its own name,
// and by the layout that it really stands in. No folder is read twice, so that links which lead
// round in a circle end.
type tree struct {
	ctx       context.Context
	selection *Selection

	file     func(path string, trail bool) error // trail: a log file of CloudTrail's is due here
	unlisted func(path string, err error)
	noFile   func(path, kind string) // a pipe, a device or a socket: it may have no end, so it is read only if it is named
	skipped  func(digests bool)

	links []step
	seen  map[stamped][]fs.FileInfo
}

// step is a folder to be gone through: as it is shown, and where it really stands.
type step struct{ shown, real string }

// stamped distinguishes folders before [os.SameFile] is asked: a trail has a hundred thousand of
// them.
type stamped struct{ modified, size int64 }

func (t *tree) walk(root string) error {
	t.seen = make(map[stamped][]fs.FileInfo)
	absolute, err := filepath.Abs(root)
	if err != nil {
		absolute = root // the layout above the folder is not known then, and nothing is skipped for it
	}
	t.links = append(t.links, step{root, located(root, absolute)})
	for len(t.links) > 0 {
		next := t.links[0]
		t.links = t.links[1:]
		if err := t.folder(next); err != nil {
			return err
		}
	}
	return nil
}

// located is where a folder stands that may be a link: what it leads to, if that is part of a
// trail's layout.
func located(shown, otherwise string) string {
	real, err := filepath.EvalSymlinks(shown)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil || trailFolderOf(filepath.ToSlash(real)) == (trailFolder{}) {
		return otherwise
	}
	return real
}

func (t *tree) folder(s step) error {
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	info, err := os.Stat(s.shown)
	if err != nil {
		t.unlisted(s.shown, err)
		return nil
	}
	if !t.first(info) {
		return nil
	}
	p := trailFolderOf(filepath.ToSlash(s.real))
	if p.digest || t.selection.skips(p) {
		t.skipped(p.digest)
		return nil
	}
	entries, err := os.ReadDir(s.shown)
	if err != nil {
		t.unlisted(s.shown, err)
	}
	for _, e := range entries {
		if err := t.entry(e.Type(), p, step{filepath.Join(s.shown, e.Name()), filepath.Join(s.real, e.Name())}); err != nil {
			return err
		}
	}
	return nil
}

// entry goes on with what stands in a folder.
func (t *tree) entry(kind fs.FileMode, in trailFolder, s step) error {
	link := kind&fs.ModeSymlink != 0
	if link {
		info, err := os.Stat(s.shown)
		if err != nil {
			t.unlisted(s.shown, err)
			return nil
		}
		kind = info.Mode().Type()
	}
	switch {
	case kind.IsDir() && link:
		t.links = append(t.links, step{s.shown, located(s.shown, s.real)})
	case kind.IsDir():
		return t.folder(s)
	case kind.IsRegular():
		return t.file(s.shown, logFileDue(in, filepath.Base(s.shown)))
	default:
		t.noFile(s.shown, kindOf(kind))
	}
	return nil
}

// first reports whether a folder is met for the first time.
func (t *tree) first(info fs.FileInfo) bool {
	key := stamped{info.ModTime().UnixNano(), info.Size()}
	for _, other := range t.seen[key] {
		if os.SameFile(other, info) {
			return false
		}
	}
	t.seen[key] = append(t.seen[key], info)
	return true
}

// kindOf names what is neither a file nor a folder.
func kindOf(kind fs.FileMode) string {
	switch {
	case kind&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case kind&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
