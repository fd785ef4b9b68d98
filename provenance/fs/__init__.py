"""Files and folders: the atomic store, copies, the lock of a workspace, reading below a folder that is not trusted."""
