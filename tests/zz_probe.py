import re
def test_probe(app, signed_in, make_user, count_queries, visitor):
    if "sqlite" not in str(app.extensions["settings"].database_url): return
    v=signed_in()
    u=make_user(full_name="Ann <script>canary", email="ann@example.org")
    def show(m, path, data=None, who=v, **k):
        with count_queries() as st:
            r=getattr(who,m)(path, **({"data":data} if data is not None else {}), **k)
        print(m, path[:70], r.status_code, r.headers.get("Location"), len(st), len(r.text))
        return r
    for p in ["/","/users/","/users/?status=x","/users/?page=99","/users/?after=zzz","/users/?created_from=x",f"/users/{u.id}",f"/users/{u.id}/edit",f"/users/{u.id}/delete","/users/new","/auth/profile","/auth/password","/auth/devices","/help","/users/999","/users/x","/nope","/users"]:
        r=show("get",p)
        if r.status_code>=500: print(r.text[-600:])
    r=show("get","/users/?q=ann&sort=-created_at"); print(r.text[r.text.find('<div id="list"'):])
    r=show("post","/auth/profile",{"full_name":"x","language":"","time_zone":""})
    r=show("post",f"/users/{u.id}/edit",{"full_name":"x\u202e","email":"bad","role":"member","version":"1"}); print(r.text[r.text.find("<main"):])
    print(show("get",f"/users/{u.id}?back=q%3Dann").text[2500:9000])
    print(show("get","/users/999").text[-1500:])
    r=show("get","/users/?q=x",who=visitor)
    r=show("post","/users/new",{"email":"x"},who=visitor); print(r.text)
