package etcd

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rollcall-id/rollcall/store"
)

const (
	// maintainEvery is the pace of the upkeep of an embedded store.
	maintainEvery = 10 * time.Minute
	// worthwhile is the waste below which it does not stop the world: that takes
	// 4 s for 1 GiB.
	worthwhile = 64 << 20
)

// Run keeps an embedded store in order until ctx ends: it gives pages that hold
// nothing back to the disk when they are more than half, and lifts the alarm of
// the quota when there is room again. For a cluster it only waits.
func (s *Store) Run(ctx context.Context) error {
	if s.server == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.maintain(ctx, worthwhile); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "store upkeep failed", "err", err)
		}
	}
}

// maintain defragments when more than half of the file, and more than waste bytes,
// hold nothing.
func (s *Store) maintain(ctx context.Context, waste int64) error {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	be := s.server.etcd.Server.Backend()
	if err := s.settle(call); err != nil {
		return err
	}
	size, used := be.Size(), be.SizeInUse()
	if used*2 < size && size-used > waste {
		began := time.Now()
		if err := be.Defrag(); err != nil {
			return fmt.Errorf("defragment the store: %w", err)
		}
		s.log.InfoContext(ctx, "store defragmented", "before", size, "after", be.Size(), "took", time.Since(began))
	}
	return s.clearAlarm(call)
}

// settle makes the sizes tell what was freed: bbolt counts a page as free only in the
// second transaction after the one that freed it. A deletion of what is not there is
// let through at the quota, too.
func (s *Store) settle(ctx context.Context) error {
	for range 2 {
		if _, err := s.client.Delete(ctx, s.o.Prefix+"nothing"); err != nil {
			return s.writeFailed(err)
		}
		s.server.etcd.Server.Backend().ForceCommit()
	}
	return nil
}

// clearAlarm lifts the alarm that stops writes at the quota, once defragmentation
// has made room: etcd leaves that to an operator, and here there is none.
func (s *Store) clearAlarm(ctx context.Context) error {
	if float64(s.server.etcd.Server.Backend().Size()) > 0.9*float64(s.o.Quota) {
		return nil
	}
	alarms, err := s.client.AlarmList(ctx)
	if err != nil {
		return s.readFailed(ctx, "list alarms", err)
	}
	for _, a := range alarms.Alarms {
		if a.Alarm != pb.AlarmType_NOSPACE {
			continue
		}
		if _, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm}); err != nil {
			return s.writeFailed(err)
		}
		s.log.InfoContext(ctx, "store takes writes again: there is room below the quota")
	}
	return nil
}

// Status implements [store.Statuser]. Of a cluster it tells the largest member.
func (s *Store) Status(ctx context.Context) (store.Status, error) {
	call, leave, err := s.enter(ctx)
	if err != nil {
		return store.Status{}, err
	}
	defer leave()
	if s.server == nil {
		return s.clusterStatus(call, ctx)
	}
	be := s.server.etcd.Server.Backend()
	st := store.Status{Size: be.Size(), InUse: be.SizeInUse(), Quota: s.o.Quota, FreeDisk: -1, Embedded: true}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.o.Dir, &fs); err == nil {
		st.FreeDisk = int64(fs.Bavail) * int64(fs.Bsize) //nolint:unconvert // its type differs by system
	}
	return st, nil
}

func (s *Store) clusterStatus(call, ctx context.Context) (store.Status, error) {
	st := store.Status{FreeDisk: -1, Endpoints: s.o.Endpoints}
	var errs []error
	for _, e := range s.o.Endpoints {
		one, cancel := s.deadline(call, readTimeout)
		resp, err := s.client.Status(one, e)
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if resp.DbSize >= st.Size {
			st.Size, st.InUse, st.Quota = resp.DbSize, resp.DbSizeInUse, resp.DbSizeQuota
		}
	}
	if len(errs) == len(s.o.Endpoints) {
		return store.Status{}, s.readFailed(ctx, "ask for the size of the store", errors.Join(errs...))
	}
	return st, nil
}
