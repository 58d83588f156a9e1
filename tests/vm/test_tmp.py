import os, guest, machine, rpc, wire, time
def test_x(sandbox):
    open(os.path.join(sandbox.exported, "file"), "w").write("from the host")
    volumes = [{"nfs_target": f"{machine.EXPORTER}:/exported", "path": "/mnt/volume"}]
    t=time.time()
    print(machine.answer(machine.post_init(lifecycleID="life-0", volumeMounts=volumes), 60), time.time()-t)
    print(guest.sh("dmesg | tail -5; grep nfs /proc/mounts || :; ps ax | grep -v '\\['"))
    print(sandbox.logged()[-6:])
    assert 0
