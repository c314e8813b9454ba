class Folder: pass
