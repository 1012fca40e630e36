"""One network on several devices or machines; nothing here matters where there is one."""
